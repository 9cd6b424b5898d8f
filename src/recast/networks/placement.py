"""On which device, and in which number format, a network computes."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from recast.networks.onednn import with_onednn

Network = TypeVar("Network", bound=nn.Module)


def first_weight(network: nn.Module) -> Tensor:
    """The network's first weight, whose device and number format are those of all: `x.to(first_weight(network))`.

    diffusers' own `network.device` and `network.dtype` look through every module for hooks of offloading, which we
    put in none; asked for at each denoising step, that took a fifth of a small network's time.
    """
    return next(network.parameters())


def placed(network: Network, device: str | torch.device, dtype: torch.dtype | None = None) -> Network:
    """The network where it computes: convolutions channels last, products the fastest of this machine, no gradients.

    dtype: its number format; None leaves what it has.
    """
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    if torch.device(device).type == "cpu":
        with_onednn(network)
    return network.to(device, dtype).requires_grad_(False)
