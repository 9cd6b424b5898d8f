"""Levels of rectified flow whose shift grows with the number of places, resolved for one number. arXiv:2403.03206."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

from recast.diffusion.schedule import LEAST_FLOW_SHARE, FlowSchedule, schedule
from recast.errors import WeightsError


@dataclass(frozen=True, eq=False)
class StretchedFlow(FlowSchedule):
    """Even steps of t from 1 to 1/steps, shifted, then stretched so that the last of them is `terminal`; None: not."""

    terminal: float | None = None

    def timestep_sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 decreasing levels, the last one 0, as diffusers' FlowMatchEulerDiscreteScheduler is asked by LTX.

        Raises RequestError for more steps than timesteps, or fewer than one.
        """
        self._check_steps(steps)
        time = np.linspace(1, 1 / steps, steps)
        clean = 1 - self.shift * time / (1 + (self.shift - 1) * time)
        if self.terminal and clean[-1] > 0:
            clean = clean * ((1 - self.terminal) / clean[-1])
        return [*(1 / np.maximum(clean, LEAST_FLOW_SHARE) - 1).tolist(), 0.0]


def dynamic_schedule(config: Mapping[str, Any], tokens: int) -> FlowSchedule:
    """The levels that a scheduler config describes for a clip of so many places.

    Differs from diffusers' pipelines: these take the places of the clip at hand, and a walk here is the model's own,
    the same for all clips. Raises WeightsError for options that are not known.
    """
    if config.get("time_shift_type", "exponential") != "exponential":
        raise WeightsError(f"time_shift_type is {config['time_shift_type']!r}; known is exponential")
    if not config.get("use_dynamic_shifting"):
        levels = schedule(config)
        if not isinstance(levels, FlowSchedule):
            raise WeightsError(f"the scheduler is of {levels.prediction}, and the network predicts flow_prediction")
        return levels
    least, most = (
        config.get(name, usual) for name, usual in (("base_image_seq_len", 256), ("max_image_seq_len", 4096))
    )
    low, high = (config.get(name, usual) for name, usual in (("base_shift", 0.5), ("max_shift", 1.15)))
    shift = exp(low + (high - low) * (tokens - least) / (most - least))
    fixed = schedule({**config, "use_dynamic_shifting": False, "shift_terminal": None, "shift": shift})
    return StretchedFlow(
        sigmas=fixed.sigmas, prediction=fixed.prediction, shift=shift, terminal=config.get("shift_terminal")
    )
