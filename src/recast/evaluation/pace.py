"""What one frame of a clip takes outside the networks, on this machine: measured on the clip's first frames."""

from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from recast.editing.loaded import Model
from recast.editing.prepared import extractors
from recast.editing.resolve import ResolvedEdit
from recast.types import Frames
from recast.video.frame import Frame
from recast.video.read import Source, frames
from recast.video.resize import enlarged, resized
from recast.video.write import writing

FRAMES, STRUCTURED = 8, 16
SECONDS = 0.3
"""Of reading: no further frame is taken after that."""


@dataclass(frozen=True)
class Pace:
    """Seconds for a frame: read, and brought to the size to work at; its structure found; enlarged and encoded.

    written: bytes of an encoded frame. The first frames of a video are dearer than most, which tell what changed.
    """

    read: float
    structure: float
    write: float
    written: float

    def seconds(self, frames: int, *, is_long: bool) -> dict[str, float]:
        """Of an edit, by stage. is_long: it goes segment by segment, and is surveyed first."""
        return {
            "read": frames * self.read * (3 if is_long else 2),
            "structure": frames * self.structure * (2 if is_long else 1),
            "write": frames * self.write,
        }


def measured_pace(resolved: ResolvedEdit, model: Model, target: Path) -> Pace:
    """By the first frames of the stretch; `target` is left alone, and tells the kind of file."""
    source = resolved.source
    assert isinstance(source, Source), "an edit that is planned reads a file"
    coming = frames(source, replace(resolved.stretch, max_frames=None))
    first = next(coming)  # it waits for the decoder's process to start
    shown, began = [(first, _small(first, resolved.size))], perf_counter()
    for whole in islice(coming, FRAMES - 1):
        shown.append((whole, _small(whole, resolved.size)))
        if perf_counter() - began > SECONDS:
            break
    read = (perf_counter() - began) / max(1, len(shown) - 1)
    small = torch.cat([each for _, each in shown])
    # As many as go through an estimator at once, so that the memory that it takes is seen too.
    many = torch.cat([small] * ceil(STRUCTURED / len(small)))[:STRUCTURED]
    structure = min(_seconds_of_structure(resolved, model, many) for _ in range(2)) / len(many)
    seconds, written = _written(resolved, shown, target)
    return Pace(read, structure, seconds, written)


def _small(whole: Frame, size: tuple[int, int]) -> Frames:
    return resized(whole.pixels[None], size)


def _seconds_of_structure(resolved: ResolvedEdit, model: Model, small: Frames) -> float:
    began = perf_counter()
    for extractor in extractors(resolved, model).values():
        extractor.measured(small, slice(0, len(small)))
    return perf_counter() - began


def _written(resolved: ResolvedEdit, shown: list[tuple[Frame, Frames]], target: Path) -> tuple[float, float]:
    """Seconds to enlarge and to encode a frame, and its bytes."""
    assert isinstance(resolved.source, Source)
    window = replace(resolved.stretch, max_frames=len(shown))
    with TemporaryDirectory() as folder:
        place = Path(folder) / (target.name or "frames")
        began = perf_counter()
        with writing(place, resolved.source, window, record=None, codec=resolved.request.codec) as writer:
            for whole, small in shown:
                writer.add(enlarged(small[0], whole.pixels, resolved.outlines), like=whole)
        seconds = perf_counter() - began
        held = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return seconds / len(shown), held / len(shown)
