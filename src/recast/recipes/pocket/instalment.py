"""An instalment: a part of a component's training, from nothing or from the weights of the instalment before."""

from recast.engine.config import TrainConfig
from recast.recipes.hardware import CORES
from recast.recipes.pocket.networks import RUN_COMMAND
from recast.training.preset import Preset
from recast.training.stages import TrainStage


def instalment(
    about: str, stage: TrainStage, config: TrainConfig, *, start: str = "", after: str = "pocket-pool", measured: str
) -> Preset:
    """A preset of pocket's. start: the instalment that it goes on from; after: what else must be there; see Preset."""
    return Preset(
        about=about,
        stage=stage,
        config=config,
        hardware=CORES,
        start=start,
        after=", ".join(part for part in (start, after) if part),
        measured=measured,
        usage=RUN_COMMAND,
    )
