"""Colour differences: sRGB in CIE Lab, and the distances of 1976 and 2000."""

import torch
from jaxtyping import Float
from torch import Tensor

from recast.types import Frames

XYZ_OF_RGB = (0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227)
"""Of linear R, G and B with the primaries of sRGB (ITU-R BT.709) under D65."""
WHITE = (0.95047, 1.0, 1.08883)
"""D65's X, Y and Z for the observer of 1931."""

Lab = Float[Tensor, "... 3"]


def lab(frames: Frames) -> Float[Tensor, "t h w 3"]:
    """L*, a* and b* of sRGB frames. IEC 61966-2-1 to linear light, CIE 15 from there."""
    values = frames.permute(0, 2, 3, 1).double() / 255
    linear = torch.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    xyz = linear @ linear.new_tensor(XYZ_OF_RGB).T / linear.new_tensor(WHITE)
    straight = xyz * (29 / 6) ** 2 / 3 + 4 / 29
    x, y, z = torch.where(xyz > (6 / 29) ** 3, xyz ** (1 / 3), straight).unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def de76(one: Lab, other: Lab) -> Float[Tensor, "..."]:
    """The distance in Lab, CIE 1976; about 2.3 can just be seen."""
    return (one - other).norm(dim=-1)


def de2000(one: Lab, other: Lab) -> Float[Tensor, "..."]:
    """CIEDE2000, with weights of 1. Equations and test data: Sharma, Wu and Dalal 2005 (Color Res. Appl. 30)."""
    chroma = (one[..., 1:].norm(dim=-1) + other[..., 1:].norm(dim=-1)) / 2
    stretched = 1.5 - _saturated(chroma) / 2
    (c1, h1), (c2, h2) = (_polar(each, stretched) for each in (one, other))
    lightness, mean_c, mean_h = (one[..., 0] + other[..., 0]) / 2, (c1 + c2) / 2, _mean_hue(h1, h2, c1 * c2 == 0)
    turn = _wrapped(h2 - h1) * (c1 * c2 > 0)
    squared = (lightness - 50) ** 2
    d_l = (other[..., 0] - one[..., 0]) / (1 + 0.015 * squared / (20 + squared).sqrt())
    d_c = (c2 - c1) / (1 + 0.045 * mean_c)
    d_h = 2 * (c1 * c2).sqrt() * torch.sin(torch.deg2rad(turn) / 2) / (1 + 0.015 * mean_c * _hue_weight(mean_h))
    rotation = torch.deg2rad(60 * torch.exp(-(((mean_h - 275) / 25) ** 2)))
    crossed = -2 * _saturated(mean_c) * torch.sin(rotation) * d_c * d_h
    return (d_l**2 + d_c**2 + d_h**2 + crossed).clamp(min=0).sqrt()


def _saturated(chroma: Tensor) -> Tensor:
    return (chroma**7 / (chroma**7 + 25**7)).sqrt()


def _polar(colour: Lab, stretched: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma and hue, 0..360 degrees, with a* stretched."""
    a, b = colour[..., 1] * stretched, colour[..., 2]
    return torch.hypot(a, b), torch.rad2deg(torch.atan2(b, a)) % 360


def _wrapped(degrees: Tensor) -> Tensor:
    """A difference of hues the short way round, -180..180."""
    return degrees - 360 * (degrees > 180) + 360 * (degrees < -180)


def _mean_hue(h1: Tensor, h2: Tensor, is_grey: Tensor) -> Tensor:
    """Half-way the short way round; where one colour is grey, and so has no hue, the sum."""
    total, far = h1 + h2, (h1 - h2).abs() > 180
    around = torch.where(total < 360, total + 360, total - 360)
    return torch.where(is_grey, total, torch.where(far, around, total) / 2)


def _hue_weight(hue: Tensor) -> Tensor:
    """T of the equations."""
    terms = (-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63)
    waves = [share * torch.cos(torch.deg2rad(times * hue + shift)) for share, times, shift in terms]
    return 1 + torch.stack(waves).sum(dim=0)
