"""On which device, and in which number format, a network computes."""

import torch
from torch import Tensor, nn


def first_weight(network: nn.Module) -> Tensor:
    """The network's first weight, whose device and number format are those of all: `x.to(first_weight(network))`.

    diffusers' own `network.device` and `network.dtype` look through every module for hooks of offloading, which we
    put in none; asked for at each denoising step, that took a fifth of a small network's time.
    """
    return next(network.parameters())


def placed(network: nn.Module, device: str, dtype: torch.dtype) -> None:
    """Puts a network of convolutions where it computes: channels last, in a number format, without gradients."""
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    network.to(device, dtype).requires_grad_(False)
