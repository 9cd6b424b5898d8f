"""The paper's run (arXiv:2302.03011, sections 3.3 and 3.4), one stage after the other."""

from recast.engine.config import TrainConfig
from recast.recipes.hardware import NODE
from recast.training.objectives.batches import Batches
from recast.training.preset import Preset
from recast.training.stages import GeneratorStage, Size

PICTURE_SIZES: tuple[Size, ...] = ((320, 320), (384, 320), (448, 256))
CLIP_SIZES: tuple[Size, ...] = ((448, 256),)
SD_FOLDER = "a folder with Stable Diffusion 1.5's unet, vae and scheduler, and CLIP ViT-L/14's image_encoder"
IMAGE_LAYERS = r"\bunet\.(?!conv_in\.|.*\.temporal\.)"
"""Names of weights that the image model brings along; what is new or reads structure learns ten times faster."""


def _gen1(steps: int) -> TrainConfig:
    # The paper gives steps and batches; rates, decay, averaging and clipping are Stable Diffusion's usual ones.
    return TrainConfig(
        steps=steps,
        rate=1e-4,
        slow=IMAGE_LAYERS,
        slow_share=0.1,
        warmup=1000,
        decay=0.01,
        clip=1.0,
        ema=0.9999,
        keep_every=250,
        accumulate=8,
    )


def _clips(
    *, seed: int, structure: bool = True, structure_blur_prob: float = Batches.structure_blur_prob
) -> GeneratorStage:
    return GeneratorStage(
        structure=structure,
        checkpointing="selective",
        batches=Batches(images=9216, clips=1152, frames=8, image_steps=0.125, structure_blur_prob=structure_blur_prob),
        picture_sizes=PICTURE_SIZES,
        clip_sizes=CLIP_SIZES,
        stride=4,
        seed=seed,
    )


GEN1: dict[str, Preset] = {
    "gen1-images": Preset(
        about="an image model learns to be conditioned on an image embedding instead of words",
        stage=GeneratorStage(
            structure=False,
            motion=False,
            checkpointing="selective",
            batches=Batches(images=9216),
            picture_sizes=PICTURE_SIZES,
        ),
        config=_gen1(15_000),
        hardware=NODE,
        after=SD_FOLDER,
    ),
    "gen1-joint": Preset(
        about="layers over time learn motion from clips; one step in eight still sees images",
        stage=_clips(structure=False, seed=1),
        config=_gen1(75_000),
        hardware=NODE,
        after="gen1-images",
    ),
    "gen1-structure": Preset(
        about="the network is conditioned on depth, in full detail (t_s = 0), through eight new input channels",
        stage=_clips(structure_blur_prob=0.0, seed=2),
        config=_gen1(25_000),
        hardware=NODE,
        after="gen1-joint",
    ),
    "gen1-detail": Preset(
        about="depth of every softness, t_s of 0..7: the user may say how much of the structure to keep",
        stage=_clips(structure_blur_prob=7 / 8, seed=3),
        config=_gen1(10_000),
        hardware=NODE,
        after="gen1-structure",
    ),
}
