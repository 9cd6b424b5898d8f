"""Random numbers of training: a generator for each step, and one for each row of its batch.

Whoever computes a row, in whatever order, draws the same: a resumed run, an accumulated batch and many processes all
see the one global batch. Keys, not states: nothing has to be kept to go on.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


def step_rng(seed: int, step: int) -> np.random.Generator:
    """What all rows of a step share, such as its size."""
    return np.random.default_rng([seed, step, 0])


def row_rng(seed: int, step: int, row: int) -> np.random.Generator:
    """What one row of a step's global batch draws for itself."""
    # NumPy takes a missing word of a key for 0, so rows count from 1 and the step itself is 0.
    return np.random.default_rng([seed, step, row + 1])


def normal_noise(rng: np.random.Generator, shape: Sequence[int]) -> Tensor:
    """Standard normal numbers, fp32, on the CPU."""
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def device_of(network: nn.Module) -> torch.device:
    """The device of a network's weights: batches are drawn on the CPU and brought there."""
    return next(network.parameters()).device
