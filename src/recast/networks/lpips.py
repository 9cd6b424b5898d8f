"""LPIPS (arXiv:1801.03924, version 0.1): how far apart two pictures look, by features of a classifier of pictures.

Modules are named as in the weights that its authors' package saves.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from recast.errors import known

MEAN, DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of ImageNet's pixels, at -1..1."""
TINY = 1e-10

Features = Float[Tensor, "b c y x"]


@dataclass(frozen=True)
class Conv:
    """A convolution and its rectifier."""

    width: int
    size: int
    stride: int = 1
    border: int = 0


@dataclass(frozen=True)
class Squeezed:
    """A fire module: fewer channels, then kernels of 1 x 1 and of 3 x 3 side by side, each of `width`."""

    fewer: int
    width: int


@dataclass(frozen=True)
class MaxPool:
    """The largest of size x size places, at every second one. ceil: places at the edge that are not whole count too."""

    size: int
    ceil: bool = False


Stage = tuple[Conv | Squeezed | MaxPool, ...]
TRUNKS: dict[str, tuple[Stage, ...]] = {
    "alex": (
        (Conv(64, 11, stride=4, border=2),),
        (MaxPool(3), Conv(192, 5, border=2)),
        (MaxPool(3), Conv(384, 3, border=1)),
        (Conv(256, 3, border=1),),
        (Conv(256, 3, border=1),),
    ),
    "vgg": tuple(
        (*((MaxPool(2),) if number else ()), *(Conv(width, 3, border=1),) * times)
        for number, (width, times) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)))
    ),
    "squeeze": (
        (Conv(64, 3, stride=2),),
        (MaxPool(3, ceil=True), Squeezed(16, 64), Squeezed(16, 64)),
        (MaxPool(3, ceil=True), Squeezed(32, 128), Squeezed(32, 128)),
        (MaxPool(3, ceil=True), Squeezed(48, 192)),
        (Squeezed(48, 192),),
        (Squeezed(64, 256),),
        (Squeezed(64, 256),),
    ),
}
"""Layers up to each of the features that are compared, by the authors' name for the network."""


class LPIPS(nn.Module):
    """Distances of pictures. net: a name of TRUNKS. Raises RequestError for another."""

    def __init__(self, net: str = "alex") -> None:
        super().__init__()
        self.net, widths = nn.Module(), []
        read, number = 3, 0
        for place, stage in enumerate(TRUNKS[known("network of LPIPS", net, TRUNKS)], 1):
            layers = nn.Sequential()
            for layer in stage:
                for module in _modules(layer, read):
                    layers.add_module(str(number), module)
                    number += 1
                read = _width(layer, read)
            self.net.add_module(f"slice{place}", layers)
            widths.append(read)
        self.stages = len(widths)
        for place, width in enumerate(widths):
            weighing = nn.Sequential(nn.Identity(), nn.Conv2d(width, 1, 1, bias=False))
            self.add_module(f"lin{place}", nn.ModuleDict({"model": weighing}))

    def forward(self, frames: Float[Tensor, "b 3 h w"], others: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
        """Both -1..1. Eq. 1: squared differences of unit features, weighed by channel, averaged over places, summed."""
        mean, deviation = (torch.tensor(each).to(frames)[:, None, None] for each in (MEAN, DEVIATION))
        x, y = (frames - mean) / deviation, (others - mean) / deviation
        apart = torch.zeros(len(frames)).to(frames)
        for place in range(self.stages):
            layers = getattr(self.net, f"slice{place + 1}")
            x, y = layers(x), layers(y)
            squared = (_unit(x) - _unit(y)).square()
            apart = apart + getattr(self, f"lin{place}")["model"](squared).mean(dim=(1, 2, 3))
        return apart


class Fire(nn.Module):
    """What Squeezed says (arXiv:1602.07360)."""

    def __init__(self, channels: int, fewer: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, fewer, 1)
        self.expand1x1 = nn.Conv2d(fewer, width, 1)
        self.expand3x3 = nn.Conv2d(fewer, width, 3, padding=1)

    def forward(self, x: Features) -> Float[Tensor, "b d y x"]:
        """Channels of the smaller kernel first."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu()


class Pooling(nn.Module):
    """What MaxPool says."""

    def __init__(self, pool: MaxPool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Features) -> Float[Tensor, "b c v u"]:
        """Half as many rows and columns."""
        return F.max_pool2d(x, self.pool.size, stride=2, ceil_mode=self.pool.ceil)


def _modules(layer: Conv | Squeezed | MaxPool, channels: int) -> list[nn.Module]:
    """The modules of a layer; published names count each of them."""
    if isinstance(layer, Conv):
        return [nn.Conv2d(channels, layer.width, layer.size, layer.stride, layer.border), nn.ReLU()]
    return [Pooling(layer) if isinstance(layer, MaxPool) else Fire(channels, layer.fewer, layer.width)]


def _width(layer: Conv | Squeezed | MaxPool, channels: int) -> int:
    if isinstance(layer, MaxPool):
        return channels
    return 2 * layer.width if isinstance(layer, Squeezed) else layer.width


def _unit(x: Features) -> Features:
    return x / (x.square().sum(dim=1, keepdim=True).sqrt() + TINY)
