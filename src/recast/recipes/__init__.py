"""Products: every training preset by name, and what it takes to make the models that ship, and those of systems.

Hours are worked out from FLOPs, never from memory; see `recast.training.cost`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast.recipes.components import COMPONENTS
from recast.recipes.distilled import DISTILLED, open_distilled_run
from recast.recipes.gen1 import GEN1
from recast.recipes.pocket import steps as pocket_steps
from recast.recipes.pocket.presets import POCKET
from recast.recipes.pocket_words import steps as words_steps
from recast.recipes.pocket_words.presets import POCKET_WORDS
from recast.recipes.systems import steps as systems_steps
from recast.recipes.systems.presets import SYSTEM_PRESETS, SYSTEMS
from recast.training import run
from recast.training.preset import Preset

PRESETS: dict[str, Preset] = GEN1 | DISTILLED | COMPONENTS | POCKET | POCKET_WORDS | SYSTEM_PRESETS
"""Every preset by name. `recast train --list` prints it."""

OPENERS: dict[str, Callable[..., run.TrainingRun]] = {
    **dict.fromkeys(DISTILLED, open_distilled_run),
    **dict.fromkeys(POCKET, pocket_steps.open_pocket_run),
    **dict.fromkeys(POCKET_WORDS, words_steps.open_words_run),
    **dict.fromkeys(SYSTEM_PRESETS, systems_steps.open_system_run),
}
"""How a run of a preset is opened that reads what it needs from its run folder; the others take data and start."""


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """All steps that make a model, in one run folder.

    presets: its trainings. order: of trainings and chores, by name. chores: what is done between the trainings.
    network: what a training comes to, trained where it is not done yet. folder: of a training in a run.
    """

    presets: Mapping[str, Preset]
    order: Sequence[str]
    chores: Mapping[str, Callable[[Path], object]]
    network: Callable[[str, Path], Any]
    folder: Callable[[str, Path], Path]


MODEL_RECIPES: dict[str, ModelRecipe] = {
    "pocket": ModelRecipe(
        presets=POCKET,
        order=pocket_steps.ORDER,
        chores=pocket_steps.CHORES,
        network=pocket_steps.network,
        folder=pocket_steps.run_folder,
    ),
    "pocket-words": ModelRecipe(
        presets=POCKET_WORDS,
        order=words_steps.ORDER,
        chores=words_steps.CHORES,
        network=words_steps.network,
        folder=words_steps.run_folder,
    ),
    **{
        name: ModelRecipe(
            presets=system.presets,
            order=systems_steps.order_of(name),
            chores=systems_steps.chores_of(name),
            network=systems_steps.network,
            folder=systems_steps.run_folder,
        )
        for name, system in SYSTEMS.items()
    },
}
"""By the name of the model: `recast train pocket -o runs` follows one from nothing."""

CHORES: dict[str, Callable[[Path], object]] = {
    name: chore for recipe in MODEL_RECIPES.values() for name, chore in recipe.chores.items()
}
"""What is done between trainings, by name."""


def recipe_of(step: str) -> ModelRecipe:
    """The recipe that has a step."""
    return next(recipe for recipe in MODEL_RECIPES.values() if step in recipe.presets or step in recipe.chores)


def open_run(name: str, preset: Preset, folder: Path, *, data: Sequence[Path], start: str | None) -> run.TrainingRun:
    """A preset of the table, perhaps with other numbers, ready to be followed in a run's folder.

    Raises RequestError, WeightsError.
    """
    return OPENERS.get(name, run.open_run)(name, preset, folder, data=data, start=start)
