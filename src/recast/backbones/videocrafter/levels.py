"""VideoCrafter's noise levels: from timestep to timestep less of the clean latents, besides what the betas take."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recast.diffusion.schedule import Schedule, schedule
from recast.errors import WeightsError

LAST, STEPS = "scale_b", "scale_steps"
"""Entries of a folder's scheduler: the share at the end, and the timesteps over which it falls to that from 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ScaledSchedule(Schedule):
    """Levels of mixtures sqrt(alpha_bar) * share * clean + sqrt(1 - alpha_bar) * noise; shares: one a timestep.

    They are those of noise that is added, sigma = sqrt(1 / alpha_bar - 1) / share. Of the published code (LVDM,
    `use_scale`): its steps divide the clean latents by the share and multiply by the next one, which is this walk.
    """

    shares: Float[Tensor, " timesteps"]

    def seen(self, sigma: float) -> float:
        """How many times larger the network saw such latents than ones of unit variance."""
        share = float(torch.exp(self._interpolated(self.sigma_to_timestep(sigma))))
        return share * ((1 + sigma**2) / (1 + (share * sigma) ** 2)) ** 0.5

    def _interpolated(self, timestep: float) -> Tensor:
        below = min(int(timestep), len(self.shares) - 1)
        above = min(below + 1, len(self.shares) - 1)
        low, high = self.shares[below].log(), self.shares[above].log()
        return low + (timestep - below) * (high - low)


def scaled_schedule(config: Mapping[str, Any]) -> ScaledSchedule:
    """The levels of a folder's scheduler; shares of 1 where it names none. Raises WeightsError for others."""
    plain = schedule(config)
    last, steps = config.get(LAST, 1.0), config.get(STEPS, 1)
    if not (0 < last <= 1 and 1 <= steps <= len(plain.sigmas)):
        wrong = f"the scheduler has {LAST} {last:g} over {STEPS} {steps}"
        raise WeightsError(f"{wrong}; a share is above 0 and at most 1, over 1 to {len(plain.sigmas)} timesteps")
    shares = falling(last, steps, len(plain.sigmas))
    own = {each.name: getattr(plain, each.name) for each in fields(plain)}
    sigmas = plain.sigmas / shares
    scaled = ScaledSchedule(**own | {"sigmas": sigmas}, shares=shares)
    return replace(scaled, final_sigma=float(sigmas[0])) if plain.final_sigma else scaled


def falling(last: float, steps: int, count: int) -> Float[Tensor, " count"]:
    """Shares from 1 evenly to `last` over the first `steps` timesteps, and `last` from there on."""
    first = torch.linspace(1, last, steps, dtype=torch.float64)
    return torch.cat([first, torch.full((count,), last, dtype=torch.float64)])[:count]
