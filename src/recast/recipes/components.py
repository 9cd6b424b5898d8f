"""Autoencoder, depth estimator, CLIP and prior, at the sizes that published models have."""

from recast.engine.config import TrainConfig
from recast.recipes.hardware import NODE, ONE
from recast.training.component_stages import AutoencoderStage, DepthStage, PairStage, PriorStage
from recast.training.objectives.depth import DepthConfig
from recast.training.preset import Preset

COMPONENTS: dict[str, Preset] = {
    "autoencoder": Preset(
        about="pictures to latents and back, at Stable Diffusion's size",
        stage=AutoencoderStage(images=64, crop=256),
        config=TrainConfig(steps=250_000, rate=1e-4, warmup=1000, ema=0.9999, keep_every=1000),
        hardware=NODE,
    ),
    "depth": Preset(
        about="a depth estimator of 60 million weights; the scale and shift of its answers are forgiven (MiDaS)",
        stage=DepthStage(
            widths=DepthConfig(channels=(128, 256, 384, 512, 768), groups=32),
            images=64,
            invariant=True,
            size=(384, 384),
        ),
        config=TrainConfig(steps=200_000, rate=2e-4, warmup=1000, ema=0.9995, keep_every=1000),
        hardware=ONE,
    ),
    "clip": Preset(
        about="pictures and captions in one space, CLIP ViT-L/14",
        stage=PairStage(images=384),
        config=TrainConfig(steps=400_000, rate=2e-4, warmup=2000, decay=0.2, ema=0.9999, keep_every=1000),
        hardware=ONE,
    ),
    "prior": Preset(
        about="from words to the embedding of a picture, by the unCLIP objective, for ViT-L/14",
        stage=PriorStage(captions=2048),
        config=TrainConfig(steps=150_000, rate=1.1e-4, warmup=10_000, decay=0.06, ema=0.9999, keep_every=1000),
        hardware=NODE,
        after="a folder with CLIP's text_encoder and tokenizer",
    ),
}
