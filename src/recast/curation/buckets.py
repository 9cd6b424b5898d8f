"""Aspect-ratio buckets: sizes that examples are resized and cropped to, so that a batch has one size."""

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, log

from jaxtyping import UInt8
from torch import Tensor

from recast.errors import RequestError
from recast.types import Frames
from recast.video.resize import resized

_SIDES = re.compile(r"([1-9]\d*)x([1-9]\d*)")
MULTIPLE = 8
"""Both sides of a bucket are multiples of this many pixels: an autoencoder with three downsamplings needs that."""


@dataclass(frozen=True, order=True)
class Size:
    """Width and height in pixels, of square pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def rows_columns(self) -> tuple[int, int]:
        """Height and width in pixels, the order of array axes."""
        return self.height, self.width


def _both_ways(*sizes: tuple[int, int]) -> tuple[Size, ...]:
    return tuple(dict.fromkeys(Size(*sides) for size in sizes for sides in (size, size[::-1])))


BUCKETS: dict[str, tuple[Size, ...]] = {
    "paper": _both_ways((320, 320), (384, 320), (448, 256)),
    "pocket": _both_ways((128, 128), (224, 128)),
}
"""Sets of buckets by name. paper: Gen-1's, arXiv:2302.03011, section 3.4, and on edge; pocket: the small model's."""


def parsed(text: str) -> tuple[Size, ...]:
    """Buckets from the name of a set, or from sizes as 320x320,448x256. Raises RequestError for anything else."""
    if text in BUCKETS:
        return BUCKETS[text]
    found = [_SIDES.fullmatch(each.strip()) for each in text.split(",")]
    sizes = [Size(int(match[1]), int(match[2])) for match in found if match]
    if len(sizes) < len(found):
        raise RequestError(
            f"buckets are {text!r}; they should be {' or '.join(BUCKETS)}, or sizes such as 320x320,448x256"
        )
    for size in sizes:
        if size.width % MULTIPLE or size.height % MULTIPLE:
            raise RequestError(f"a bucket is {size}; both sides should be multiples of {MULTIPLE} px")
    return tuple(dict.fromkeys(sizes))


def nearest(shown: tuple[Fraction, Fraction], buckets: tuple[Size, ...]) -> Size:
    """The bucket whose shape is nearest to a picture's width and height; of two as near, the first."""
    aspect = log(shown[0] / shown[1])
    return min(buckets, key=lambda bucket: abs(log(bucket.width / bucket.height) - aspect))


def enlargement(shown: tuple[Fraction, Fraction], bucket: Size) -> float:
    """Factor by which a picture of that width and height is enlarged to fill the bucket; below 1 it is reduced."""
    return float(max(bucket.width / shown[0], bucket.height / shown[1]))


def fitted(frames: Frames, bucket: Size, sample_aspect: Fraction = Fraction(1)) -> UInt8[Tensor, "t 3 H W"]:
    """Frames resized so that they just cover the bucket, and centre-cropped to it.

    sample_aspect: width of a pixel over its height; the bucket's pixels are square.
    """
    rows, columns = frames.shape[-2:]
    grown = max(Fraction(bucket.height, rows), bucket.width / (columns * sample_aspect))
    # Rounded up, so that no row or column is missing.
    covering = resized(frames, (ceil(rows * grown), ceil(columns * sample_aspect * grown)))
    top, left = (covering.shape[-2] - bucket.height) // 2, (covering.shape[-1] - bucket.width) // 2
    return covering[..., top : top + bucket.height, left : left + bucket.width].contiguous()
