"""Levels of networks that were trained on any noise level between two ends, after Karras et al. (arXiv:2206.00364)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recast.diffusion.parameterization import Prediction
from recast.diffusion.schedule import Schedule
from recast.errors import WeightsError

RHO = 7.0
"""How the levels of a walk are spread: evenly in sigma^(1/rho). arXiv:2206.00364, equation 5."""
LEVELS = 1000
"""Most steps of a walk."""
NEEDED = {"timestep_type": "continuous", "use_karras_sigmas": True, "prediction_type": "v_prediction"}
"""What a scheduler's configuration must say, as Stable Video Diffusion's does."""


@dataclass(frozen=True, eq=False)
class ContinuousSchedule(Schedule):
    """Levels between `sigmas[0]` and `sigmas[-1]`; the network is told ln(sigma) / 4 as its timestep."""

    def timestep_sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 decreasing levels, the last one 0. Raises RequestError for more than LEVELS steps or none."""
        self._check_steps(steps)
        return [*_spread(float(self.sigmas[-1]), float(self.sigmas[0]), steps).tolist(), 0.0]

    def sigma_to_timestep(self, sigma: float) -> float:
        """ln(sigma) / 4. arXiv:2206.00364, table 1."""
        return 0.25 * log(sigma)


def continuous_schedule(config: Mapping[str, Any]) -> ContinuousSchedule:
    """The levels that a configuration of EulerDiscreteScheduler describes. Raises WeightsError for another kind."""
    given = {name: config.get(name) for name in NEEDED}
    wrong = [f"{name} is {given[name]!r}, not {value!r}" for name, value in NEEDED.items() if given[name] != value]
    low, high = config.get("sigma_min"), config.get("sigma_max")
    rise = isinstance(low, int | float) and isinstance(high, int | float) and 0 < low < high
    if not rise:
        wrong.append(f"sigma_min and sigma_max are {low!r} and {high!r}, not two levels that rise from above 0")
    if wrong:
        reasons = "; ".join(wrong)
        raise WeightsError(f"the scheduler is not one of continuous noise levels: {reasons}; get the folder again")
    return ContinuousSchedule(
        sigmas=_spread(config["sigma_min"], config["sigma_max"], LEVELS), prediction=Prediction.VELOCITY
    )


def _spread(first: float, last: float, count: int) -> Float[Tensor, " n"]:
    ends = first ** (1 / RHO), last ** (1 / RHO)
    return torch.linspace(*ends, count, dtype=torch.float64) ** RHO
