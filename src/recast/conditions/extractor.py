"""What estimates a clip's structure, as a whole or part by part."""

from typing import Protocol, runtime_checkable

from recast.conditions.clip_scale import ClipScale, RawMap, RawMaps, exact_scale
from recast.types import Clip, Frames, Maps, Structure


@runtime_checkable
class Extractor(Protocol):
    """Estimates a clip's structure: of a whole clip, or of its parts one after the other, with the same result.

    For parts, all of them are measured first, and the scale of the clip is found from their values.
    """

    @property
    def reach(self) -> int:
        """Frames on either side that a frame's map depends on; none where they are seen one by one."""
        return 0

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the quantiles that scale a clip's maps, 0..1."""
        ...

    def measured(self, frames: Frames, part: slice, before: RawMap | None = None) -> RawMaps:
        """What is seen in a part of the frames, not yet scaled; the others are there for `reach`.

        before: what was measured of the frame before the part.
        """
        ...

    def values(self, measured: RawMaps) -> Maps:
        """What the clip's quantiles are taken of."""
        ...

    def scaled(self, measured: RawMaps, scale: ClipScale) -> Structure:
        """The structure of frames that were measured."""
        ...

    def __call__(self, clip: Clip) -> Structure:
        """One map per frame, at the clip's size, on the CPU."""
        measured = self.measured(clip.frames, slice(0, len(clip)))
        return self.scaled(measured, exact_scale(self.values(measured), self.shares))
