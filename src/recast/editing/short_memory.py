"""What an edit does where memory is short: the same with less at once, step by step, and each step is said."""

import gc
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from recast.editing.job import EditJob
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.segments import Segmentation
from recast.errors import OutOfMemoryError, RecastWarning
from recast.files import job_folder
from recast.video.source import Source

RAN_OUT = "memory ran out"
"""Why an edit is made with less at once, where nothing else is said."""
APART = "branches of guidance were evaluated one after the other, which may change the last digit"
STREAMED = "weights rested in the processor's memory and came block by block, which takes longer and changes no bit"
SHORTER = "the clip was edited in segments of {new} frames, which changes the picture"

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Attempt:
    """One way to make an edit.

    notes: what it does otherwise than was asked. why: what the next one is made for. asked: frames of a segment as they
    were asked for, where they are fewer.
    """

    request: Request
    model: Model
    notes: tuple[str, ...] = ()
    why: str = RAN_OUT
    asked: int | None = None

    def noted(self, source: Source) -> Source:
        """The source with the notes of this attempt, for the record and the user."""
        return replace(source, assumed=(*source.assumed, *self.notes))

    def smaller(self, frames: int, least: int) -> "Attempt | None":
        """The next attempt, of a clip of so many frames; None where there is nothing left to do with less.

        What changes the picture comes last. least: frames of the shortest segment that can be.
        """
        backbone: Any = self.model.backbone
        if getattr(backbone, "together", False):
            apart = replace(self.model, backbone=replace(backbone, together=False))
            return replace(self, model=apart, notes=(*self.notes, f"{self.why}: {APART}"))
        if self.model.device.type != "cpu" and not self.model.streams:
            streamed = replace(self.model, streams=True)
            return replace(self, model=streamed, notes=(*self.notes, f"{self.why}: {STREAMED}"))
        old = min(self.request.segment, frames)
        new = max(least, old // 2)
        if new >= old or backbone.temporal_stride > 1:
            return None
        return self._in_segments_of(new)

    def gone_on(self) -> "Attempt":
        """The attempt at which an unfinished edit to this target was stopped, where memory had run out in it."""
        if self.request.target is None:
            return self
        shorter = EditJob(job_folder(self.request.target)).segment_begun(self.request.segment)
        return self if shorter is None else self._in_segments_of(shorter)

    def _in_segments_of(self, new: int) -> "Attempt":
        kept = tuple(each for each in self.notes if each.endswith((APART, STREAMED)))
        note = f"{self.why}: {SHORTER.format(new=new)}"
        request, asked = replace(self.request, segment=new), self.asked or self.request.segment
        return replace(self, request=request, notes=(*kept, note), asked=asked)


def with_less(attempt: Attempt, source: Source, frames: int) -> Attempt | None:
    """The next attempt at an edit of a source, whose segments cannot be shorter than two windows. frames: of it."""
    shared = Segmentation.of(resolve(attempt.request, attempt.model, source)).shared
    return attempt.smaller(frames, max(2, 2 * shared))


def made_with_less(
    first: Attempt, make: Callable[[Attempt], Made], smaller: Callable[[Attempt], Attempt | None]
) -> Made:
    """What `make` gives, with less and less at once while memory runs out.

    Raises OutOfMemoryError where there is nothing left to do with less.
    """
    attempt = first
    while True:
        try:
            return make(attempt)
        except OutOfMemoryError:
            following = smaller(replace(attempt, why=RAN_OUT))
            if following is None:
                raise
        # What the failed attempt held is gone here: the error, with its frames, is.
        gc.collect()
        warnings.warn(following.notes[-1], RecastWarning, stacklevel=3)
        if following.request.segment != attempt.request.segment and attempt.request.target is not None:
            shutil.rmtree(job_folder(attempt.request.target), ignore_errors=True)  # of segments of another length
        attempt = following
