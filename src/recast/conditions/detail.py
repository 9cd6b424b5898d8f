"""Level of detail of the structure: t_s of Gen-1. arXiv:2302.03011, section 3.3."""

from math import cos, floor, log2, sin

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from recast.errors import ShapeError
from recast.types import Maps

FREQUENCIES = (1.0, 10**-0.5)


def softened(maps: Maps, detail: float | Float[Tensor, " t"], side: int | None = None) -> Maps:
    """Maps blurred and downsampled by two `detail` times, then resized back; 0 changes nothing at any size.

    detail: t_s, 0..7, of all maps or of each; between two integers the two results are interpolated. side: the short
    side, in px, that the network was trained on; maps of another size are first brought to it, so that the result is
    that of training, relative to the picture. None: the maps' own, as in training itself. There are at most
    floor(log2(side)) - 1 downsamplings, to 2 px: 7 at 256 px and above. Below 256 px the largest details are one map: 6
    and 7 at 128 px or 192 px.
    """
    if isinstance(detail, Tensor):
        each = zip(maps.split(1), detail.tolist(), strict=True)
        return torch.cat([softened(one, own, side) for one, own in each])
    side = side or min(maps.shape[-2:])
    level = min(detail, floor(log2(side)) - 1)
    below = floor(level)
    soft = _halved_and_back(maps, below, side)
    if level == below:
        return soft
    return torch.lerp(soft, _halved_and_back(maps, below + 1, side), level - below)


def as_pictures(maps: Float[Tensor, "t c h w"], channels: int = 3) -> Float[Tensor, "t channels h w"]:
    """Maps as pictures: one channel becomes grey, as many as a picture has stay. Raises ShapeError for another number.

    Each number between, such as the two of a flow, needs a picture of its own kind.
    """
    if maps.shape[1] not in {1, channels}:
        raise ShapeError(
            f"maps of {maps.shape[1]} channels are no pictures of {channels}; give 1 channel or {channels}"
        )
    return maps.expand(-1, channels, -1, -1)


def detail_channels(detail: float, size: tuple[int, int]) -> Float[Tensor, "4 h w"]:
    """Four constant channels that embed t_s: sines and cosines of two frequencies (section 3.3).

    Differs: with the usual period of 10,000, four channels nearly coincide at t_s = 0 and 6 (distance 0.28). With these
    frequencies any two integers of 0..7 are more than 0.9 apart.
    """
    angles = [frequency * detail for frequency in FREQUENCIES]
    planes = torch.tensor([*map(sin, angles), *map(cos, angles)])
    return repeat(planes, "c -> c h w", h=size[0], w=size[1])


def _halved_and_back(maps: Maps, times: int, side: int) -> Maps:
    if not times:
        return maps
    small = _with_short_side(maps, side)
    for _ in range(times):
        half = (small.shape[-2] // 2, small.shape[-1] // 2)
        small = F.interpolate(_blurred(small), half, mode="area")
    return F.interpolate(small, maps.shape[-2:], mode="bilinear")


def _with_short_side(maps: Maps, side: int) -> Float[Tensor, "t c rows columns"]:
    rows, columns = maps.shape[-2:]
    if side == min(rows, columns):
        return maps
    size = [round(each * side / min(rows, columns)) for each in (rows, columns)]
    return F.interpolate(maps, size, mode="bilinear", antialias=True)


def _blurred(maps: Maps) -> Maps:
    # Gaussian, sigma 1 px. Reflection padding, because zeros would darken the border of every map.
    taps = torch.exp(-(torch.arange(-2, 3, device=maps.device, dtype=maps.dtype) ** 2) / 2)
    taps = taps / taps.sum()
    planes = F.pad(rearrange(maps, "t c h w -> (t c) 1 h w"), (2, 2, 2, 2), mode="reflect")
    across = F.conv2d(planes, rearrange(taps, "k -> 1 1 1 k"))
    return rearrange(F.conv2d(across, rearrange(taps, "k -> 1 1 k 1")), "(t c) 1 h w -> t c h w", t=len(maps))
