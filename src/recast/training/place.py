"""Where a network computes: its batches are drawn on the CPU and brought there."""

import torch
from torch import nn


def device_of(network: nn.Module) -> torch.device:
    """The device of a network's weights."""
    return next(network.parameters()).device
