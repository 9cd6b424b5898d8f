"""The training of `pocket-words`, and the worlds that it is trained on."""

from dataclasses import replace

from recast.data.renders import RenderPlan
from recast.engine.config import TrainConfig
from recast.recipes.hardware import CORES
from recast.recipes.pocket.networks import POCKET_LAYERS, POCKET_LEVELS, POCKET_TOWERS, RUN_COMMAND
from recast.training.objectives.batches import Batches
from recast.training.preset import Preset
from recast.training.word_stage import WordStage

SIDE = 128
"""The short side that it is trained at, as `pocket` is; edits work at that of the pools."""
POOL_SIDE = 192
POOLS = (
    RenderPlan("square", 12_000, POOL_SIDE, POOL_SIDE, first_seed=7_300_000, frames=2),
    RenderPlan("wide", 4_000, POOL_SIDE, 320, first_seed=7_400_000, frames=2),
)
"""Worlds that neither `pocket`, nor the judge, nor any measurement has seen."""
LAYERS = replace(POCKET_LAYERS, attention=(True, True), token_width=POCKET_TOWERS.width)
"""pocket's image network, with attention at its finer resolution too, so that maps of words are not of 12 x 12."""


POCKET_WORDS: dict[str, Preset] = {
    "pocket-words-images": Preset(
        about="an image network that reads words and depth, from the weights of pocket's",
        stage=WordStage(
            layers=LAYERS,
            reader=POCKET_TOWERS,
            levels=POCKET_LEVELS,
            size=(208, SIDE),
            batches=Batches(images=48, structure_blur_prob=0.3, lognormal_prob=0.5),
            seed=11,
        ),
        config=TrainConfig(steps=3200, rate=8e-4, warmup=200, ema=0.998, keep_every=200),
        hardware=CORES,
        after="pocket, pocket-words-pool, pocket-words-cache",
        usage=RUN_COMMAND,
    ),
}
