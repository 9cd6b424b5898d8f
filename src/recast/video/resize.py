"""Picture sizes that a model accepts, and back to the source's size with the source's outlines."""

from fractions import Fraction

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.errors import RequestError
from recast.types import Frames

LONGEST_ASPECT = 4
LARGEST_ENLARGEMENT = 2

Plane = Float[np.ndarray, "h w"]
Planes = Float[np.ndarray, "h w c"]
Grown = Float[np.ndarray, "H W c"]


def working_size(size: tuple[int, int], short_side: int, multiple: int) -> tuple[int, int]:
    """Rows and columns to work at: the short side near `short_side` px, both sides multiples of `multiple`.

    The aspect is kept as well as multiples allow; a picture longer than 4 to 1 is squeezed to that, and a small one
    is enlarged at most twice. Raises RequestError where `short_side` or `multiple` is no size.
    """
    if short_side < 1 or multiple < 1:
        raise RequestError(f"a short side of {short_side} px in multiples of {multiple} px is no size; both start at 1")
    rows, columns = size
    short = max(multiple, _rounded(Fraction(min(short_side, LARGEST_ENLARGEMENT * min(size))), multiple))
    aspect = min(Fraction(max(size), min(size)), Fraction(LONGEST_ASPECT))
    long = max(short, _rounded(short * aspect, multiple))
    return (short, long) if rows <= columns else (long, short)


def _rounded(length: Fraction, multiple: int) -> int:
    return max(1, int(length / multiple + Fraction(1, 2))) * multiple


def resized(frames: Frames, size: tuple[int, int]) -> UInt8[Tensor, "t 3 H W"]:
    """Frames at `size` (rows, columns): the mean over areas where they shrink, bicubic where they grow."""
    if tuple(frames.shape[-2:]) == size:
        return frames
    return torch.stack([_tensor(_resized(_array(frame), size)) for frame in frames])


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    # An axis at a time where one shrinks and the other grows: cv2 has one filter for both.
    rows, columns = min(size[0], image.shape[0]), min(size[1], image.shape[1])
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


def enlarged(
    small: UInt8[Tensor, "3 h w"], guide: UInt8[Tensor, "3 H W"], strength: float, *, radius: int = 2, eps: float = 1e-4
) -> UInt8[Tensor, "3 H W"]:
    """`small` at the guide's size, its outlines drawn where the guide's are. strength: 0 plain bicubic, 1 full.

    Joint upsampling by a guided filter (He, Sun and Tang, "Guided Image Filtering", ECCV 2010, equation 5; fitted at
    the small size as in arXiv:1505.00996): the guide's detail is added, times the local slope of `small` over it.
    radius: of a window, in small pixels. eps: guide variance (of 0..1 values) that counts as flat.
    Differs: the line's offset is not used, so what `small` holds and the guide does not is kept. A slope counts by
    how well the guide explains `small` there, and the outcome stays between the lowest and highest value of `small`
    nearby: the guide's texture and colours do not show where `small` has none.
    """
    size = (guide.shape[-2], guide.shape[-1])
    image, luma = _array(small), _luma(_array(guide))
    plain = _resized(image, size)
    if strength == 0:
        return _tensor(plain)
    coarse = _resized(luma, image.shape[:2])
    slopes = _grown(_slopes(image.astype(np.float32), coarse, radius, eps), size)
    detail = luma - _resized(coarse, size)
    lowest, highest = _reach(image, size)
    slopes *= detail[..., None]
    drawn = cv2.min(cv2.max(cv2.add(slopes, plain, dtype=cv2.CV_32F), lowest), highest)
    return _tensor(cv2.addWeighted(drawn, strength, plain, 1 - strength, 0, dtype=cv2.CV_8U))


def _slopes(small: Planes, guide: Plane, radius: int, eps: float) -> Planes:
    """How much each channel of `small` rises with the guide around each pixel; 0 where that explains little of it."""
    guide = guide[..., None]
    guide_mean, small_mean = _mean(guide, radius), _mean(small, radius)
    guide_var = _mean(guide**2, radius) - guide_mean**2
    small_var = _mean(small**2, radius) - small_mean**2
    covariance = _mean(guide * small, radius) - guide_mean * small_mean
    # The share of the small picture's variance that the line explains. Below a half it is chance, or another edge.
    explained = (covariance**2).sum(-1, keepdims=True) / ((guide_var + eps) * (small_var.sum(-1, keepdims=True) + 1))
    trust = np.clip((explained - 0.4) / 0.4, 0, 1)
    return _mean(trust * covariance / (guide_var + eps), radius)


def _mean(planes: Planes, radius: int) -> Planes:
    """Over the square window around each pixel."""
    blurred = cv2.blur(planes, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)
    return blurred.reshape(planes.shape)


def _reach(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> tuple[Grown, Grown]:
    """The lowest and highest values within a pixel of each place."""
    around = np.ones((3, 3), np.uint8)
    return _grown(cv2.erode(image, around), size), _grown(cv2.dilate(image, around), size)


def _grown(image: np.ndarray, size: tuple[int, int]) -> Grown:
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _luma(image: UInt8[np.ndarray, "h w 3"]) -> Plane:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255


def _array(frame: UInt8[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(rearrange(frame, "c h w -> h w c").cpu().numpy())


def _tensor(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[Tensor, "3 h w"]:
    return rearrange(torch.from_numpy(image), "h w c -> c h w")
