"""One picture of a video, as the rest of the package gets it."""

from dataclasses import dataclass
from fractions import Fraction

from jaxtyping import UInt8
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video, upright and at full size.

    pixels: uint8 sRGB. pts: time in the source's time base, counted from the file's first frame.
    seconds: the same, exact. index: place in the whole file. duration: in the time base, 0 where the file does not say.
    """

    pixels: UInt8[Tensor, "3 h w"]
    pts: int
    seconds: Fraction
    index: int
    duration: int = 0
