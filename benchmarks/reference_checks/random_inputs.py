"""Random pictures and features that measures are compared on."""

from collections.abc import Callable
from typing import Any

import torch
from benchmarks.reference_checks.toys import normal, rng
from torch import Tensor

SEEDS = range(3)
FRAMES, WIDTH = 6, 16


def pictures(seed: int = 0) -> Tensor:
    """Frames of random pixels that are alike to a degree: three parts of one picture to one of noise."""
    drawn = torch.randint(0, 256, (FRAMES + 1, 3, 24, 28), generator=rng(seed))
    return ((3 * drawn[:1] + drawn[1:]) // 4).to(torch.uint8)


def over_seeds(measure: Callable[[int], Any]) -> Tensor:
    """The measure for each of SEEDS."""
    return torch.tensor([float(measure(seed)) for seed in SEEDS], dtype=torch.float64)


def features(seed: int, count: int = 40) -> Tensor:
    """Vectors whose numbers are correlated, about a mean of their own."""
    return normal(count, WIDTH, seed=seed) @ normal(WIDTH, WIDTH, seed=9) + normal(WIDTH, seed=seed + 20)
