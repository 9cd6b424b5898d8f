"""The noise levels that a network was trained on, and the walk down them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import cos, isclose, pi
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recast.diffusion.parameterization import Prediction
from recast.errors import RequestError, ScheduleError, WeightsError

LEAST_ALPHA_BAR = 2.0**-24
"""Stands for 0 where training went down to pure noise: sigma would be infinite and is 4096."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A network's training levels, one a timestep.

    sigmas: rising, in fp64. spacing: which of them a walk of fewer steps visits; offset: added to "leading" timesteps.
    """

    sigmas: Float[Tensor, " timesteps"]
    prediction: Prediction
    spacing: str = "trailing"
    offset: int = 0

    def timestep_sigmas(self, steps: int) -> list[float]:
        """`steps` + 1 falling levels, the last one 0, at the timesteps that diffusers' DDIM would visit.

        Raises RequestError for more steps than timesteps, or fewer than one.
        """
        if not 1 <= steps <= len(self.sigmas):
            raise RequestError(f"{steps} sampling steps; the model was trained on levels for 1 to {len(self.sigmas)}")
        timesteps = np.unique(self._timesteps(steps))[::-1].copy()
        return [*self.sigmas[torch.from_numpy(timesteps)].tolist(), 0.0]

    def sigma_to_timestep(self, sigma: float) -> float:
        """The timestep of that level; between two levels, by the logarithm; beyond the last one, the last."""
        known = self.sigmas.log().numpy()
        place = float(np.interp(np.log(sigma), known, np.arange(len(known))))
        return float(round(place)) if isclose(place, round(place), abs_tol=1e-6) else place

    def _timesteps(self, steps: int) -> np.ndarray:
        count = len(self.sigmas)
        match self.spacing:
            case "trailing":
                return np.round(np.arange(count, 0, -count / steps)[:steps]).astype(np.int64) - 1
            case "leading":
                return np.minimum(np.arange(steps) * (count // steps) + self.offset, count - 1)
            case "linspace":
                return np.round(np.linspace(0, count - 1, steps)).astype(np.int64)
            case other:
                raise WeightsError(f"unknown timestep_spacing {other!r}; known are trailing, leading and linspace")


def schedule(config: Mapping[str, Any]) -> Schedule:
    """The training levels that a diffusers scheduler config describes; what it leaves out is as in DDIMScheduler.

    Raises WeightsError for a kind of schedule or prediction that is not known, or that cannot be sampled.
    """
    try:
        prediction = Prediction(config.get("prediction_type", "epsilon"))
    except ValueError:
        known = ", ".join(Prediction)
        raise WeightsError(f"unknown prediction_type {config['prediction_type']!r}; known are {known}") from None
    alpha_bar = torch.cumprod(1 - _betas(config), 0)
    if config.get("rescale_betas_zero_snr", False):
        if prediction is Prediction.NOISE:
            raise WeightsError("a network that predicts noise says nothing at zero signal (rescale_betas_zero_snr)")
        alpha_bar = rescale_zero_snr(alpha_bar).clamp(min=LEAST_ALPHA_BAR)
    return Schedule(
        sigmas=((1 - alpha_bar) / alpha_bar).sqrt(),
        prediction=prediction,
        spacing=config.get("timestep_spacing", "leading"),
        offset=config.get("steps_offset", 0),
    )


def truncated(sigmas: list[float], strength: float) -> list[float]:
    """The last part of a walk: all of it for strength 1, only the clean end for 0. SDEdit, arXiv:2108.01073.

    Raises RequestError for a strength outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise RequestError(f"strength is {strength:g}; it goes from 0 (the source itself) to 1 (nothing of it)")
    steps = round(strength * (len(sigmas) - 1))
    return sigmas[len(sigmas) - 1 - steps :]


def check_decreasing(sigmas: list[float]) -> None:
    """Raises LevelsError unless every level is below the one before and the last is 0."""
    if not sigmas or sigmas[-1] != 0:
        raise ScheduleError(f"noise levels must end in 0 and end in {sigmas[-1] if sigmas else 'nothing'}")
    for i, (above, below) in enumerate(pairwise(sigmas)):
        if not above > below:
            raise ScheduleError(f"noise levels must fall; level {i} is {above:g} and the next one {below:g}")


def _betas(config: Mapping[str, Any]) -> Float[Tensor, " timesteps"]:
    if config.get("trained_betas") is not None:
        return torch.tensor(config["trained_betas"], dtype=torch.float64)
    count = config.get("num_train_timesteps", 1000)
    first, last = config.get("beta_start", 1e-4), config.get("beta_end", 0.02)
    match config.get("beta_schedule", "linear"):
        case "linear":
            return torch.linspace(first, last, count, dtype=torch.float64)
        case "scaled_linear":
            return torch.linspace(first**0.5, last**0.5, count, dtype=torch.float64) ** 2
        case "squaredcos_cap_v2":
            shares = [cos((i / count + 0.008) / 1.008 * pi / 2) ** 2 for i in range(count + 1)]
            return torch.tensor([min(1 - b / a, 0.999) for a, b in pairwise(shares)], dtype=torch.float64)
        case other:
            raise WeightsError(f"unknown beta_schedule {other!r}; known are linear, scaled_linear, squaredcos_cap_v2")


def rescale_zero_snr(alpha_bar: Float[Tensor, " timesteps"]) -> Float[Tensor, " timesteps"]:
    """alpha_bar with its root shifted to end in 0 and scaled to begin as before. arXiv:2305.08891, algorithm 1."""
    root = alpha_bar.sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
