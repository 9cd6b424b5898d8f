"""The shares of signal that a scheduler's betas come to."""

from collections.abc import Mapping
from itertools import pairwise
from math import cos, pi
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recast.errors import WeightsError


def alpha_bars(config: Mapping[str, Any]) -> Float[Tensor, " timesteps"]:
    """The share of the clean part in the variance at each timestep, in fp64, as the config's betas have it."""
    return torch.cumprod(1 - _betas(config), 0)


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


def shift_snr(alpha_bar: Float[Tensor, " timesteps"], scale: float) -> Float[Tensor, " timesteps"]:
    """alpha_bar with every ratio of signal to noise divided by `scale`: sigma times its root. arXiv:2403.03206, 5.3.2.

    CogVideoX (arXiv:2408.06072) shifts before it rescales to no signal. Raises WeightsError for one not above 0.
    """
    if not scale > 0:
        raise WeightsError(f"snr_shift_scale of the scheduler is {scale:g}; it must be above 0")
    return alpha_bar / (scale + (1 - scale) * alpha_bar)
