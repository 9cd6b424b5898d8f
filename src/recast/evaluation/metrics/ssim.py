"""SSIM: structural similarity of two pictures, by means, deviations and correlation in small windows."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recast.types import Frames

SIDE = 11
"""Of the window, in px."""
REACH = SIDE // 2
SIGMA = 1.5
"""Of the window's weights, in px."""
K1, K2 = 0.01, 0.03

Planes = Float[Tensor, "t c h w"]


def ssim_maps(frames: Frames, others: Frames) -> Float[Tensor, "t h w"]:
    """SSIM around each pixel, the mean of the three channels; 1 where all that the window sees is the same.

    Wang et al. 2004 (IEEE TIP 13), equation 13 with the constants of section III-C. Differs: of R, G and B, where the
    paper has luma, and frames are mirrored at their edge, so that every pixel has a value; the published code of the
    field does both. Frames need sides above REACH.
    """
    return torch.stack(
        [_ssim(*(each[None].double() / 255 for each in pair)) for pair in zip(frames, others, strict=True)]
    )


def ssim(frames: Frames, others: Frames) -> float:
    """The mean over all pixels and frames."""
    return float(ssim_maps(frames, others).mean())


def _ssim(one: Planes, other: Planes) -> Float[Tensor, "h w"]:
    mean, other_mean = _averaged(one), _averaged(other)
    variance, other_variance = _averaged(one**2) - mean**2, _averaged(other**2) - other_mean**2
    covariance = _averaged(one * other) - mean * other_mean
    luminance = (2 * mean * other_mean + K1**2) / (mean**2 + other_mean**2 + K1**2)
    # Rounding may leave a variance of flat parts below 0.
    spread = variance.clamp(min=0) + other_variance.clamp(min=0) + K2**2
    return (luminance * (2 * covariance + K2**2) / spread)[0].mean(dim=0)


def _averaged(planes: Planes) -> Planes:
    """Under the Gaussian window, an axis at a time."""
    weights = torch.exp(-((torch.arange(SIDE, dtype=planes.dtype) - REACH) ** 2) / (2 * SIGMA**2))
    kernel = (weights / weights.sum()).expand(planes.shape[1], 1, 1, SIDE)
    padded = F.pad(planes, (REACH,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel, groups=len(kernel)), kernel.mT, groups=len(kernel))
