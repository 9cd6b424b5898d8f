"""Presets: every training that recast knows, as a table of recipes. `recast train --list` prints it.

gen1-*: the paper's run (arXiv:2302.03011, sections 3.2 to 3.4 and 4.1), one stage after the other. autoencoder, depth,
clip, prior: the components, at the sizes that published models have. pocket-*: the model that ships with recast, by
the same code with other numbers. Hours are worked out from FLOPs, never from memory; see `recast.training.cost`.
"""

from recast.training.autoencoder import Scales
from recast.training.batches import Batches
from recast.training.clip import Towers
from recast.training.components import AutoencoderStage, DepthStage, PairStage, PriorStage
from recast.training.depth import Widths
from recast.training.generator import Layers
from recast.training.preset import Hardware, Preset
from recast.training.prior import Depths
from recast.training.recipe import Recipe
from recast.training.stages import SD_LEVELS, GeneratorStage, Size

NODE = Hardware(name="H200", devices=8, tflops=790, use=0.40, gib=139)
ONE = Hardware(name="H200", devices=1, tflops=790, use=0.40, gib=139)
CORES = Hardware(name="two processor cores", devices=1, tflops=1.6, use=0.40, gib=8)

PICTURE_SIZES: tuple[Size, ...] = ((320, 320), (384, 320), (448, 256))
CLIP_SIZES: tuple[Size, ...] = ((448, 256),)
POCKET_SIZES: tuple[Size, ...] = ((128, 128), (224, 128))
SD_FOLDER = "a folder with Stable Diffusion 1.5's unet, vae and scheduler, and CLIP ViT-L/14's image_encoder"
IMAGE_LAYERS = r"\bunet\.(?!conv_in\.|.*\.temporal\.)"
"""Names of weights that the image model brings along; what is new or reads structure learns ten times faster."""
# A level of pure noise: without it the brightness of night and of paper could not be reached (arXiv:2305.08891).
POCKET_LEVELS = {**SD_LEVELS, "rescale_betas_zero_snr": True}

POCKET_LAYERS = Layers(
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
POCKET_TOWERS = Towers(
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
POCKET_SCALES = Scales(widths=(16, 32, 64, 96), layers=1, groups=8, attention=False, side=128)


def _gen1(steps: int) -> Recipe:
    # The paper gives steps and batches; rates, decay, averaging and clipping are Stable Diffusion's usual ones.
    return Recipe(
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


def _clips(*, seed: int, structure: bool = True, softened: float = Batches.softened) -> GeneratorStage:
    return GeneratorStage(
        structure=structure,
        checkpointing="selective",
        batches=Batches(images=9216, clips=1152, frames=8, image_steps=0.125, softened=softened),
        picture_sizes=PICTURE_SIZES,
        clip_sizes=CLIP_SIZES,
        stride=4,
        seed=seed,
    )


GEN1: dict[str, Preset] = {
    "gen1-images": Preset(
        about="an image model learns to be told content by a picture's embedding instead of words",
        stage=GeneratorStage(
            structure=False,
            motion=False,
            checkpointing="selective",
            batches=Batches(images=9216),
            picture_sizes=PICTURE_SIZES,
        ),
        recipe=_gen1(15_000),
        hardware=NODE,
        after=SD_FOLDER,
    ),
    "gen1-joint": Preset(
        about="layers over time learn motion from clips; one step in eight still sees images",
        stage=_clips(structure=False, seed=1),
        recipe=_gen1(75_000),
        hardware=NODE,
        after="gen1-images",
    ),
    "gen1-structure": Preset(
        about="the network is told depth, in full detail (t_s = 0), through eight new input channels",
        stage=_clips(softened=0.0, seed=2),
        recipe=_gen1(25_000),
        hardware=NODE,
        after="gen1-joint",
    ),
    "gen1-detail": Preset(
        about="depth of every softness, t_s of 0..7: the user may say how much of the structure to keep",
        stage=_clips(softened=7 / 8, seed=3),
        recipe=_gen1(10_000),
        hardware=NODE,
        after="gen1-structure",
    ),
}

COMPONENTS: dict[str, Preset] = {
    "autoencoder": Preset(
        about="pictures to latents and back, at Stable Diffusion's size",
        stage=AutoencoderStage(images=64, crop=256),
        recipe=Recipe(steps=250_000, rate=1e-4, warmup=1000, ema=0.9999, keep_every=1000),
        hardware=NODE,
    ),
    "depth": Preset(
        about="a depth estimator of 60 million weights; the scale and shift of its answers are forgiven (MiDaS)",
        stage=DepthStage(
            widths=Widths(channels=(128, 256, 384, 512, 768), groups=32), images=64, invariant=True, size=(384, 384)
        ),
        recipe=Recipe(steps=200_000, rate=2e-4, warmup=1000, ema=0.9995, keep_every=1000),
        hardware=ONE,
    ),
    "clip": Preset(
        about="pictures and captions in one space, CLIP ViT-L/14",
        stage=PairStage(images=384),
        recipe=Recipe(steps=400_000, rate=2e-4, warmup=2000, decay=0.2, ema=0.9999, keep_every=1000),
        hardware=ONE,
    ),
    "prior": Preset(
        about="from words to the embedding of a picture, by the unCLIP objective, for ViT-L/14",
        stage=PriorStage(captions=2048),
        recipe=Recipe(steps=150_000, rate=1.1e-4, warmup=10_000, decay=0.06, ema=0.9999, keep_every=1000),
        hardware=NODE,
        after="a folder with CLIP's text_encoder and tokenizer",
    ),
}

POCKET: dict[str, Preset] = {
    "pocket-vae": Preset(
        about="pocket's autoencoder, without attention, so that any size comes out equally well",
        stage=AutoencoderStage(scales=POCKET_SCALES, images=32, crop=64),
        recipe=Recipe(steps=7000, rate=1.6e-3, ema=0.998, keep_every=200),
        hardware=CORES,
        after="pocket-pool",
    ),
    "pocket-clip": Preset(
        about="pocket's CLIP pair and its tokenizer; the attributes of worlds must be readable from a picture",
        stage=PairStage(
            towers=POCKET_TOWERS,
            images=128,
        ),
        recipe=Recipe(steps=5000, rate=1.2e-3, decay=0.05, ema=0.997, keep_every=100),
        hardware=CORES,
        after="pocket-pool",
    ),
    "pocket-depth": Preset(
        about="pocket's depth estimator, on clips; worlds give true depth, so plain distance won over MiDaS's loss",
        stage=DepthStage(widths=Widths(scales=(1.0,), over_time=True), images=5, frames=4, size=(128, 128)),
        recipe=Recipe(steps=11_000, rate=2e-3, warmup=50, ema=0.998, keep_every=100),
        hardware=CORES,
        after="pocket-pool",
    ),
    "pocket-prior": Preset(
        about="pocket's prior, four layers",
        stage=PriorStage(
            depths=Depths(width=128, places=32, layers=4, heads=4, head_width=32, fused=False), reader=POCKET_TOWERS
        ),
        recipe=Recipe(steps=3500, rate=1.5e-3, decay=0.02, ema=0.998),
        hardware=CORES,
        after="pocket-embeddings",
    ),
    "pocket-images": Preset(
        about="pocket's generator on images, from nothing, told structure and content from the first step",
        stage=GeneratorStage(
            layers=POCKET_LAYERS,
            motion=False,
            levels=POCKET_LEVELS,
            batches=Batches(images=64, softened=0.6, blurred=0.25),
            picture_sizes=POCKET_SIZES,
        ),
        recipe=Recipe(steps=5000, rate=1.2e-3, warmup=300, keep_every=100),
        hardware=CORES,
        after="pocket-embeddings",
        measured="1.3 to 1.6 steps a second on one core; loss .68 at step 50, .24 from step 2,400 on",
    ),
    "pocket-video": Preset(
        about="pocket's layers over time, on clips of eight frames; four steps in nine see images, as it knows few yet",
        stage=GeneratorStage(
            layers=POCKET_LAYERS,
            levels=POCKET_LEVELS,
            batches=Batches(images=64, clips=8, frames=8, image_steps=4 / 9, softened=0.6, blurred=0.25),
            picture_sizes=POCKET_SIZES,
            clip_sizes=POCKET_SIZES,
            seed=1,
        ),
        recipe=Recipe(steps=4000, rate=9e-4, warmup=60, ema=0.998, keep_every=100),
        hardware=CORES,
        after="pocket-images, pocket-video-cache",
    ),
    "pocket-decoder": Preset(
        about="the autoencoder's decoder alone; latents stay what the generator was trained on",
        stage=AutoencoderStage(scales=POCKET_SCALES, images=32, crop=64, decoder=True, seed=7),
        recipe=Recipe(steps=2000, rate=1e-3, ema=0.997, keep_every=100),
        hardware=CORES,
        after="pocket-vae",
    ),
}

PRESETS: dict[str, Preset] = GEN1 | COMPONENTS | POCKET
"""Every preset by name."""
