"""Distillation of a generator's guidance and ensemble into one answer."""

from collections.abc import Sequence
from pathlib import Path

from recast.engine.config import TrainConfig
from recast.errors import RequestError
from recast.recipes.hardware import CORES
from recast.recipes.pocket.networks import POCKET_LAYERS, POCKET_LEVELS
from recast.training.distilled_stage import DistilledStage
from recast.training.objectives.batches import Batches
from recast.training.preset import Preset
from recast.training.run import TrainingRun, open_run

DISTILLED: dict[str, Preset] = {
    "distilled": Preset(
        about="a generator learns to answer at once what it answers by guidance and a mean over noises",
        stage=DistilledStage(
            layers=POCKET_LAYERS,
            levels=POCKET_LEVELS,
            batches=Batches(
                images=16,
                clips=4,
                frames=8,
                image_steps=0.125,
                structure_blur_prob=0.45,
                structure_drop_prob=0.25,
                cond_drop_prob=0.1,
                embedding_noise=0.35,
            ),
            picture_sizes=((192, 192), (336, 192)),
            clip_sizes=((192, 192), (336, 192)),
            stride=1,
            temporal_weight=1.0,
            seed=5,
        ),
        config=TrainConfig(steps=1500, rate=3e-4, warmup=50, ema=0.995, keep_every=50),
        hardware=CORES,
        after="a folder with unet, temporal and projection, such as pocket",
        usage="recast train {name} --data SHARDS... --from pocket -o runs/{name}{processes}",
    ),
}


def open_distilled_run(name: str, preset: Preset, run: Path, *, data: Sequence[Path], start: str | None) -> TrainingRun:
    """The preset, perhaps with changed settings, ready to run in a folder. Raises RequestError without a start."""
    if start is None:
        raise RequestError(f"{name} learns the answers of a model; say --from FOLDER, or --from pocket")
    return open_run(name, preset, run, data=data, start=start)
