"""The presets of pocket's generator, by instalments: 4,600 steps on images, 19,018 on images and clips."""

from dataclasses import replace

from recast.engine.config import TrainConfig
from recast.recipes.pocket.instalment import instalment
from recast.recipes.pocket.networks import POCKET_LAYERS, POCKET_LEVELS, POCKET_SIZES
from recast.training.objectives.batches import Batches
from recast.training.preset import Preset
from recast.training.stages import GeneratorStage

_IMAGES = GeneratorStage(
    layers=POCKET_LAYERS,
    motion=False,
    levels=POCKET_LEVELS,
    batches=Batches(images=64, structure_blur_prob=0.6, embedding_noise=0.25),
    picture_sizes=POCKET_SIZES,
)
_CLIPS = Batches(images=64, clips=8, frames=8, image_steps=4 / 9, structure_blur_prob=0.6, embedding_noise=0.25)
_MOSTLY_CLIPS = replace(_CLIPS, image_steps=0.25, structure_blur_prob=0.45)
_DETAILS = replace(_MOSTLY_CLIPS, lognormal_prob=0.7, embedding_noise=0.35)


def _video(batches: Batches, *, seed: int, temporal_weight: float = 0.0) -> GeneratorStage:
    return GeneratorStage(
        layers=POCKET_LAYERS,
        levels=POCKET_LEVELS,
        batches=batches,
        picture_sizes=POCKET_SIZES,
        clip_sizes=POCKET_SIZES,
        stride=1,
        seed=seed,
        temporal_weight=temporal_weight,
    )


GENERATOR_COURSE: dict[str, Preset] = {
    "pocket-images": instalment(
        "generator on images, from nothing, conditioned on structure and content from the first step",
        _IMAGES,
        TrainConfig(steps=2400, rate=1.2e-3, warmup=300, keep_every=100),
        after="pocket-embeddings",
        measured="version 0: 31 minutes on two cores; loss .68 at step 50, .24 at the end. Its worlds had finer "
        "strokes and tubes than those of today",
    ),
    "pocket-images-2": instalment(
        "generator on images, second instalment, still with the second instalment's autoencoder",
        _IMAGES,
        TrainConfig(steps=2200, rate=1.2e-3, warmup=300, keep_every=100),
        start="pocket-images",
        after="pocket-embeddings",
        measured="version 1. Rate and seed not recorded. Version 0's 260 steps on clips are not in its sum of steps; "
        "whether they lie between is not recorded",
    ),
    "pocket-video": instalment(
        "layers over time, on clips of eight frames; four steps in nine see images; from here on the third autoencoder",
        _video(_CLIPS, seed=1),
        TrainConfig(steps=2450, rate=9e-4, warmup=60, ema=0.998, keep_every=100),
        start="pocket-images-2",
        after="pocket-embeddings-2",
        measured="version 1; loss .24 to .30 at the end. Instalments within the 2,450 steps are not recorded, nor the "
        "number of clips; 1,800 as in the next stand in",
    ),
    "pocket-video-2": instalment(
        "generator on clips, second instalment, the same again",
        _video(_CLIPS, seed=1),
        TrainConfig(steps=4000, rate=9e-4, warmup=60, ema=0.998, keep_every=100),
        start="pocket-video",
        after="pocket-embeddings-2",
        measured="version 2; 1,800 clips. Which ones is not recorded: 1,500 square and 300 wide fit the parts of "
        "a cache",
    ),
    "pocket-video-3": instalment(
        "generator on clips, third instalment: twice the clips, three steps in four",
        _video(_MOSTLY_CLIPS, seed=2),
        TrainConfig(steps=6000, rate=7e-4, warmup=60, ema=0.998, keep_every=100),
        start="pocket-video-2",
        after="pocket-video-cache-3, pocket-embeddings-2",
        measured="version 2; 3,600 clips. Which ones is not recorded: 3,000 square and 600 wide fit the parts of "
        "a cache",
    ),
    "pocket-video-4": instalment(
        "generator on clips, fourth instalment: seven rows in ten at levels about sigma = .6",
        _video(_DETAILS, seed=3),
        TrainConfig(steps=2868, rate=8e-4, warmup=60, ema=0.998, keep_every=100),
        start="pocket-video-3",
        after="pocket-video-cache-3, pocket-embeddings-2",
        measured="version 3's entry; shipped in version 5. It was stopped after 2,868 steps of a longer cosine whose "
        "length is not recorded: here the cosine ends there, so rates are lower",
    ),
    "pocket-video-5": instalment(
        "generator on clips, fifth instalment, the one that ships: changes of the error count, with a new CLIP pair",
        _video(_DETAILS, seed=4, temporal_weight=1.0),
        TrainConfig(steps=3700, rate=7e-4, warmup=60, ema=0.998, keep_every=100),
        start="pocket-video-4",
        after="pocket-embeddings-3",
        measured="version 3's entry; shipped in version 5. Rate, seed and the weight of changes are recorded; the "
        "other shares are read as those of the instalment before, and the CLIP pair as new from here on",
    ),
}
