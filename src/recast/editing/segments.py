"""Segments of the shots of a long clip: where they lie, and the frames of each, read once in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from math import ceil

import torch
from jaxtyping import UInt8
from torch import Tensor

from recast.editing.resolve import ResolvedEdit
from recast.errors import RequestError
from recast.types import Clip, Frames
from recast.video.read import Source, frames
from recast.video.resize import resized


@dataclass(frozen=True)
class Segment:
    """Frames that are edited as one, counted from the first one of the clip that is edited.

    shot: that it is a part of. span: its frames. handed_on: how many of its last frames the next one has too.
    """

    shot: slice
    span: slice
    handed_on: int

    @property
    def is_first(self) -> bool:
        """Whether the shot begins with it."""
        return self.span.start == self.shot.start

    @property
    def is_shot(self) -> bool:
        """Whether the whole shot is in it."""
        return self.span == self.shot


@dataclass(frozen=True)
class Segmentation:
    """How a shot is divided. length: frames of a segment. shared: how many of them the next one has too."""

    length: int
    shared: int

    def __post_init__(self) -> None:
        if not 0 < 2 * self.shared <= self.length:
            least = 2 * self.shared
            raise RequestError(f"a segment is {self.length} frames and two windows need {least}; say --segment {least}")

    @classmethod
    def of(cls, resolved: ResolvedEdit) -> "Segmentation":
        """Neighbouring segments share half a window. Raises RequestError for a segment shorter than a window."""
        return cls(resolved.request.segment, max(1, resolved.window // 2))

    @property
    def stride(self) -> int:
        """From the start of a segment to that of the next."""
        return self.length - self.shared

    def spans(self, total: int) -> list[slice]:
        """The frames of each segment of a shot of `total` frames, counted from its first one."""
        count = 1 + max(0, ceil((total - self.length) / self.stride))
        return [slice(start, min(start + self.length, total)) for start in range(0, count * self.stride, self.stride)]

    def segments(self, starts: Sequence[int], total: int) -> list[Segment]:
        """Of a clip of `total` frames whose shots begin at `starts`; none reaches across a cut."""
        found = []
        for start, stop in pairwise([*starts, total]):
            spans = self.spans(stop - start)
            for span in spans:
                handed_on = 0 if span is spans[-1] else self.shared
                found.append(Segment(slice(start, stop), slice(start + span.start, start + span.stop), handed_on))
        return found


class ClipReader:
    """The frames of a long clip at the size to work at, of which only those at hand are kept."""

    def __init__(self, resolved: ResolvedEdit, start: int = 0) -> None:
        """start: the first frame that will be asked for, counted from the first one that is edited."""
        assert isinstance(resolved.source, Source), "long clips are edited from file to file"
        self._source, self._size = resolved.source, resolved.size
        self._coming = islice(frames(resolved.source, resolved.stretch), start, None)
        self._held, self._next = list[UInt8[Tensor, "3 h w"]](), start
        self.first = 0

    def span(self, start: int, stop: int) -> Frames:
        """Frames start <= i < stop, fewer where the clip ends. Calls go forward: what lies before `start` is gone."""
        held_from = self._next - len(self._held)
        self._held = self._held[max(0, start - held_from) :]
        self._skip(start - self._next)
        self._held += list(self._read(stop - self._next))
        if stop <= start or not self._held:
            return torch.zeros(0, 3, *self._size, dtype=torch.uint8)
        return torch.stack(self._held[: stop - start])

    def _skip(self, count: int) -> None:
        self._next += sum(1 for _ in islice(self._coming, max(0, count)))

    def _read(self, count: int) -> Iterator[UInt8[Tensor, "3 h w"]]:
        for frame in islice(self._coming, max(0, count)):
            self.first = frame.index - self._next
            self._next += 1
            yield resized(frame.pixels[None], self._size)[0].contiguous()

    def clip(self, span: slice, reach: int, shot: slice) -> tuple[Clip, slice]:
        """A segment with `reach` frames of its shot on either side, where there are any, and where it lies in them."""
        start = max(shot.start, span.start - reach)
        pixels = self.span(start, min(shot.stop, span.stop + reach))
        inner = slice(span.start - start, min(span.stop - start, len(pixels)))
        return Clip(pixels, self._source.fps, self.first + start), inner
