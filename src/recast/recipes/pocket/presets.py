"""The training course of `pocket` 5, one preset for each instalment, as far as it was recorded.

`Preset.start` names the instalment whose weights the next one goes on from; each begins with a new optimizer.
`Preset.measured` gives what is known of it, and what was not recorded. Where a number was not recorded, the
value here is that of the preset as it stood in the repository at that time.
"""

from recast.recipes.pocket.component_presets import COMPONENT_COURSE
from recast.recipes.pocket.generator_presets import GENERATOR_COURSE
from recast.recipes.pocket.networks import (
    POCKET_LAYERS,
    POCKET_LEVELS,
    POCKET_SCALES,
    POCKET_SIZES,
    POCKET_TOWERS,
)
from recast.training.preset import Preset

__all__ = ["POCKET", "POCKET_LAYERS", "POCKET_LEVELS", "POCKET_SCALES", "POCKET_SIZES", "POCKET_TOWERS"]

POCKET: dict[str, Preset] = COMPONENT_COURSE | GENERATOR_COURSE
