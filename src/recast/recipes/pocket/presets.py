"""Every training of the model that ships, by the code of the paper's stages with other numbers."""

from recast.engine.config import TrainConfig
from recast.networks.generator import UNetConfig
from recast.recipes.hardware import CORES
from recast.training.component_stages import AutoencoderStage, DepthStage, PairStage, PriorStage
from recast.training.objectives.autoencoder import VAEConfig
from recast.training.objectives.batches import Batches
from recast.training.objectives.clip import CLIPConfig
from recast.training.objectives.depth import DepthConfig
from recast.training.objectives.prior import PriorConfig
from recast.training.preset import Preset
from recast.training.stages import SD_LEVELS, GeneratorStage, Size

POCKET_SIZES: tuple[Size, ...] = ((128, 128), (224, 128))
# A level of pure noise: without it the brightness of night and of paper could not be reached (arXiv:2305.08891).
POCKET_LEVELS = {**SD_LEVELS, "rescale_betas_zero_snr": True}

POCKET_LAYERS = UNetConfig(
    widths=(96, 128),
    attention=(False, True),
    layers=1,
    heads=4,
    groups=16,
    tokens=8,
    token_width=96,
    content_width=128,
    fused=False,
)
POCKET_TOWERS = CLIPConfig(
    width=128,
    side=128,
    patch=16,
    image=(128, 4, 4),
    text=(128, 3, 4),
    places=32,
    vocabulary=0,
    heads=True,
    fused=False,
)
POCKET_SCALES = VAEConfig(widths=(16, 32, 64, 96), layers=1, groups=8, attention=False, side=128)


POCKET: dict[str, Preset] = {
    "pocket-vae": Preset(
        about="pocket's autoencoder, without attention, so that any size comes out equally well",
        stage=AutoencoderStage(scales=POCKET_SCALES, images=32, crop=64),
        config=TrainConfig(steps=7000, rate=1.6e-3, ema=0.998, keep_every=200),
        hardware=CORES,
        after="pocket-pool",
    ),
    "pocket-clip": Preset(
        about="pocket's CLIP pair and its tokenizer; the attributes of worlds must be readable from a picture",
        stage=PairStage(
            towers=POCKET_TOWERS,
            images=128,
        ),
        config=TrainConfig(steps=5000, rate=1.2e-3, decay=0.05, ema=0.997, keep_every=100),
        hardware=CORES,
        after="pocket-pool",
    ),
    "pocket-depth": Preset(
        about="pocket's depth estimator, on clips; worlds give true depth, so plain distance won over MiDaS's loss",
        stage=DepthStage(widths=DepthConfig(scales=(1.0,), over_time=True), images=5, frames=4, size=(128, 128)),
        config=TrainConfig(steps=11_000, rate=2e-3, warmup=50, ema=0.998, keep_every=100),
        hardware=CORES,
        after="pocket-pool",
    ),
    "pocket-prior": Preset(
        about="pocket's prior, four layers",
        stage=PriorStage(
            depths=PriorConfig(width=128, places=32, layers=4, heads=4, head_width=32, fused=False),
            reader=POCKET_TOWERS,
        ),
        config=TrainConfig(steps=3500, rate=1.5e-3, decay=0.02, ema=0.998),
        hardware=CORES,
        after="pocket-embeddings",
    ),
    "pocket-images": Preset(
        about="pocket's generator on images, from nothing, told structure and content from the first step",
        stage=GeneratorStage(
            layers=POCKET_LAYERS,
            motion=False,
            levels=POCKET_LEVELS,
            batches=Batches(images=64, structure_blur_prob=0.6, embedding_noise=0.25),
            picture_sizes=POCKET_SIZES,
        ),
        config=TrainConfig(steps=5000, rate=1.2e-3, warmup=300, keep_every=100),
        hardware=CORES,
        after="pocket-embeddings",
        measured="1.3 to 1.6 steps a second on one core; loss .68 at step 50, .24 from step 2,400 on",
    ),
    "pocket-video": Preset(
        about="pocket's layers over time, on clips of eight frames; four steps in nine see images, as it knows few yet",
        stage=GeneratorStage(
            layers=POCKET_LAYERS,
            levels=POCKET_LEVELS,
            batches=Batches(
                images=64, clips=8, frames=8, image_steps=4 / 9, structure_blur_prob=0.6, embedding_noise=0.25
            ),
            picture_sizes=POCKET_SIZES,
            clip_sizes=POCKET_SIZES,
            seed=1,
        ),
        config=TrainConfig(steps=4000, rate=9e-4, warmup=60, ema=0.998, keep_every=100),
        hardware=CORES,
        after="pocket-images, pocket-video-cache",
    ),
    "pocket-decoder": Preset(
        about="the autoencoder's decoder alone; latents stay what the generator was trained on",
        stage=AutoencoderStage(scales=POCKET_SCALES, images=32, crop=64, decoder=True, seed=7),
        config=TrainConfig(steps=2000, rate=1e-3, ema=0.997, keep_every=100),
        hardware=CORES,
        after="pocket-vae",
    ),
}
