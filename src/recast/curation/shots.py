"""A source's shots, and the spans of frames that become clips."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import UInt8
from torch import Tensor

from recast.video.cuts import cuts
from recast.video.read import Frame, Source, Window, frames


@dataclass(frozen=True)
class Span:
    """Frames of a clip in its source: `frames` of them from index `start`, `stride` apart."""

    start: int
    stride: int
    frames: int

    @property
    def stop(self) -> int:
        """Index after its last frame."""
        return self.start + (self.frames - 1) * self.stride + 1

    @property
    def picks(self) -> range:
        """The frames' indices."""
        return range(self.start, self.stop, self.stride)


def shots(source: Source, detector: str) -> list[range]:
    """The source's frames between its cuts, in order. Raises MediaError where it cannot be read to its end."""
    count = 0

    def counted() -> Iterator[UInt8[Tensor, "3 h w"]]:
        nonlocal count
        for frame in frames(source, Window()):
            count += 1
            yield frame.pixels

    pictures = counted()
    found = cuts(pictures, detector)
    count += sum(1 for _ in pictures)  # the detector that finds none reads none
    return [range(start, stop) for start, stop in pairwise([0, *found, count])]


def spans(shot: range, frames: int, stride: int) -> Iterator[Span]:
    """As many clips as fit into a shot, back to back."""
    length = (frames - 1) * stride + 1
    for start in range(shot.start, shot.stop - length + 1, frames * stride):
        yield Span(start, stride, frames)


def clips(source: Source, wanted: Iterable[Span], start: float = 0.0) -> Iterator[tuple[Span, list[Frame]]]:
    """Each span with its frames, in one pass through the source from `start` seconds on.

    wanted: in order, without overlap. A span that reaches past the source's end is left out.
    """
    todo = iter(wanted)
    span, held = next(todo, None), []
    if span is None:
        return
    for frame in frames(source, Window(start=start)):
        if frame.index in span.picks:
            held.append(frame)
        if frame.index == span.stop - 1:
            yield span, held
            span, held = next(todo, None), []
            if span is None:
                return
