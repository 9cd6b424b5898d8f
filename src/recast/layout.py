"""Where things are over a clip's frames: boxes and points at keys, and what lies between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float

from recast.curves import Keys
from recast.types import Picks

BoxAt = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of a frame's width and height."""
PointAt = tuple[float, float]
"""From the left and from the top, as shares of a frame's width and height."""


@dataclass(frozen=True)
class BoxTrack:
    """A box that what some words name is to be in. words: of the prompt. boxes: at the keys.

    A box that is the whole frame asks for nothing.
    """

    words: str
    keys: Keys
    boxes: tuple[BoxAt, ...]

    def at(self, frames: Picks | Sequence[int]) -> Float[torch.Tensor, "t 4"]:
        """The box in frames of the clip, in fp32 on the CPU."""
        return _between(self.keys, self.boxes, frames)


@dataclass(frozen=True)
class Stroke:
    """A point that is dragged, and what moves with it. points: at the keys.

    radius: of what moves as the point does, as a share of the frame's shorter side.
    """

    keys: Keys
    points: tuple[PointAt, ...]
    radius: float

    def at(self, frames: Picks | Sequence[int]) -> Float[torch.Tensor, "t 2"]:
        """The point in frames of the clip, in fp32 on the CPU."""
        return _between(self.keys, self.points, frames)


@dataclass(frozen=True)
class Guides:
    """Where things are to be over a clip's frames. layout: boxes of words. strokes: points that are dragged."""

    layout: tuple[BoxTrack, ...] = ()
    strokes: tuple[Stroke, ...] = ()


NO_GUIDES = Guides()


def _between(
    keys: Keys, values: Sequence[tuple[float, ...]], frames: Picks | Sequence[int]
) -> Float[torch.Tensor, "t n"]:
    numbers = frames.tolist() if isinstance(frames, torch.Tensor) else frames
    at_keys = torch.tensor(values)
    rows = []
    for index, share in map(keys.place, numbers):
        rows.append(at_keys[index] if not share else torch.lerp(at_keys[index], at_keys[index + 1], share))
    return torch.stack(rows)
