"""Values that change over a clip's frames: keys at frames, and what lies between them."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recast.errors import RequestError

Way = Literal["linear", "ease", "hold"]
"""From one key to the next: evenly; slowly at both ends, s^2 (3 - 2 s) of the way; not before the next key."""


@dataclass(frozen=True)
class Keys:
    """Frames at which a value is said, rising, by their numbers in the source; before and after them it stays.

    Raises RequestError for no key, and for keys that do not rise.
    """

    frames: tuple[int, ...]
    way: Way = "linear"

    def __post_init__(self) -> None:
        if not self.frames:
            raise RequestError('a schedule has no key; write FRAME: VALUE, as in "0: 2, 48: 6"')
        for one, other in pairwise(self.frames):
            if other <= one:
                raise RequestError(f"a schedule's keys are frames that rise, and {other} follows {one}; order them")

    def place(self, frame: int) -> tuple[int, float]:
        """The key at or before a frame, and how far from it the value is on its way to the next one, 0 <= share < 1."""
        index = max(0, bisect_right(self.frames, frame) - 1)
        if self.way == "hold" or frame <= self.frames[0] or index == len(self.frames) - 1:
            return index, 0.0
        start, stop = self.frames[index : index + 2]
        share = (frame - start) / (stop - start)
        return index, share * share * (3 - 2 * share) if self.way == "ease" else share


@runtime_checkable
class Places(Protocol):
    """Where each frame is among values in order."""

    def place(self, frame: int, /) -> tuple[int, float]:
        """The value at or before, and how far from it the frame is on its way to the next one, 0 <= share < 1."""
        ...


@dataclass(frozen=True)
class Curve:
    """A number for each frame. values: at the keys."""

    keys: Keys
    values: tuple[float, ...]

    def __call__(self, frame: int) -> float:
        """The number at a frame of the source."""
        index, share = self.keys.place(frame)
        value = self.values[index]
        return value if not share else value + share * (self.values[index + 1] - value)

    def at(self, frames: Int[Tensor, " t"] | Iterable[int]) -> Float[Tensor, " t"]:
        """The numbers at several frames, in fp32 on the CPU."""
        numbers = frames.tolist() if isinstance(frames, Tensor) else frames
        return torch.tensor([self(frame) for frame in numbers])


@dataclass(frozen=True)
class Between:
    """Places that a curve says: at 0 the first value, at 1 the second one, and so on."""

    curve: Curve

    def place(self, frame: int) -> tuple[int, float]:
        """As Places has it."""
        value = self.curve(frame)
        return int(value), value - int(value)
