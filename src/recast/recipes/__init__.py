"""Products: every training preset by name, and what it takes to make the models that ship.

Hours are worked out from FLOPs, never from memory; see `recast.training.cost`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from recast.recipes.components import COMPONENTS
from recast.recipes.gen1 import GEN1
from recast.recipes.pocket import steps
from recast.recipes.pocket.presets import POCKET
from recast.training import run
from recast.training.preset import Preset

PRESETS: dict[str, Preset] = GEN1 | COMPONENTS | POCKET
"""Every preset by name. `recast train --list` prints it."""

OPENERS: dict[str, Callable[..., run.TrainingRun]] = dict.fromkeys(POCKET, steps.open_pocket_run)
"""How a run of a preset is opened that reads what it needs from its run folder; the others take data and start."""


def open_run(name: str, preset: Preset, folder: Path, *, data: Sequence[Path], start: str | None) -> run.TrainingRun:
    """A preset of the table, perhaps with other numbers, ready to be followed in a run's folder.

    Raises RequestError, WeightsError.
    """
    return OPENERS.get(name, run.open_run)(name, preset, folder, data=data, start=start)
