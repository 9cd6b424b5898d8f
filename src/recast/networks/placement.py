"""On which device, and in which number format, a network computes."""

from torch import Tensor, nn


def first_weight(network: nn.Module) -> Tensor:
    """The network's first weight, whose device and number format are those of all: `x.to(first_weight(network))`.

    diffusers' own `network.device` and `network.dtype` look through every module for hooks of offloading, which we
    put in none; asked for at each denoising step, that took a fifth of a small network's time.
    """
    return next(network.parameters())
