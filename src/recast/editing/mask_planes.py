"""What a mask file says of each frame, read once while it is asked for in order."""

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recast.errors import MediaError, ShapeError
from recast.video.isolated_pictures import mask
from recast.video.pictures import STILLS
from recast.video.sequence import in_order
from recast.video.source import Source

Plane = Float[Tensor, "h w"]
"""0..1, at the size of the file."""
Planes = Float[Tensor, "*c h w"]
_PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_NOISE = 16
"""A lossy video's black and white are this far off, out of 255; nearer values count as black and white."""


class PlaneReader:
    """Parts of a mask, or of pictures, asked for in order. What was asked for last is held, packed, nothing before."""

    def __init__(self, opened: Callable[[], Iterator[Planes]]) -> None:
        """opened: reads from the first frame on."""
        self._opened, self._coming = opened, opened()
        self._first, self._held = 0, deque[tuple[bytes, tuple[int, ...]]]()

    def part(self, first: int, count: int) -> Iterator[Planes]:
        """Planes first <= i < first + count, fewer where the mask ends. Going back reads it from its start."""
        if first < self._first:
            self._coming, self._first = self._opened(), 0
            self._held.clear()
        while self._held and self._first < first:
            self._held.popleft()
            self._first += 1
        self._first += sum(1 for _ in islice(self._coming, first - self._first))
        for place in range(count if self._first == first else 0):
            if place == len(self._held):
                plane = next(self._coming, None)
                if plane is None:
                    return
                self._held.append((zlib.compress(plane.numpy().tobytes(), 1), tuple(plane.shape)))
            packed, shape = self._held[place]
            yield torch.from_numpy(np.frombuffer(bytearray(zlib.decompress(packed)), np.float32)).view(shape)


def check_aspect(what: str, size: tuple[int, int], clip: tuple[int, int], path: Path) -> None:
    """Raises ShapeError where what belongs to a clip is of another aspect. size, clip: rows and columns."""
    (rows, columns), (high, wide) = size, clip
    # One pixel, of the file or of the clip, is what rounding to whole sizes may cost.
    if abs(wide * rows / columns - high) > max(1, high / rows):
        wrong = f"the {what} is {columns}x{rows} and the clip {wide}x{high}"
        raise ShapeError(f"{wrong}; make the {what} {wide}x{high}, or of the same aspect; {path}")


def planes_of(path: Path) -> Iterator[Plane]:
    """The planes of a mask file, one for each frame; a single picture serves without end. Raises MediaError."""
    if path.is_dir():
        pictures = sorted((file for file in path.iterdir() if file.suffix.lower() in _PICTURES), key=in_order)
        if not pictures:
            raise MediaError(f"the mask folder holds no pictures; {path}")
        return (_picture(file) for file in pictures)
    if path.suffix.lower() in _PICTURES:
        return repeat(_picture(path))
    return _video(path)


def alpha_planes(source: Source) -> Iterator[Plane]:
    """How opaque each frame of a clip is. Raises MediaError."""
    from recast.video.read import Window, frames

    return (frame.pixels[0].float() / 255 for frame in frames(replace(source, alpha=True), Window()))


def _picture(path: Path) -> Plane:
    try:
        plane = mask(path, (*STILLS, "TIFF"))
    except MediaError as fault:
        raise MediaError(f"the mask cannot be read as a picture ({fault}); {path}") from fault
    return torch.from_numpy(plane)


def _video(path: Path) -> Iterator[Plane]:
    from recast.video.read import Window, frames, opened

    for frame in frames(opened(path), Window()):
        red, green, blue = frame.pixels.int()
        # Rec. 709 luma in whole numbers, so that grey stays exactly what it was.
        luma = ((2126 * red + 7152 * green + 722 * blue) // 10000).float()
        yield ((luma - _NOISE) / (255 - 2 * _NOISE)).clamp(0, 1)
