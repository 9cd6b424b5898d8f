"""What a network reads besides words that is conditioned on a whole video: control, what is kept, and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from recast.backbones.backbone import Backbone
from recast.control import Motion
from recast.errors import ShapeError
from recast.types import Condition, Frames, Maps, Structure


@dataclass(frozen=True, eq=False)
class VideoControl:
    """The parts of a control video, at the clip's size.

    frames: the clip. structures: what it is to keep; at most one. edited: how far each place is made anew, 0..1, one
    map a frame; None where all of the clip is. pictures: files of what it should show. seed: of the noise that these
    are under. first: the number of the first frame in the source. motion: for networks that start from a picture.
    Raises ShapeError for maps of another number of frames.
    """

    frames: Frames
    structures: Sequence[Structure] = ()
    edited: Maps | None = None
    pictures: Sequence[str] = ()
    seed: int = 0
    first: int = 0
    motion: Motion = field(default_factory=Motion)

    def __post_init__(self) -> None:
        counts = [len(each.maps) for each in self.structures] + ([] if self.edited is None else [len(self.edited)])
        if any(count != len(self.frames) for count in counts):
            raise ShapeError(f"maps are of {counts} frames and the clip of {len(self.frames)}; give one for each")


@runtime_checkable
class VideoControlBackbone(Backbone, Protocol):
    """A backbone whose network reads a control video, as VACE does (arXiv:2503.07598)."""

    @property
    def reads_clip(self) -> bool:
        """Whether the clip itself is always read; where not, nothing of it may be kept."""
        ...

    def with_control_video(self, condition: Condition, video: VideoControl, steps: int) -> Condition:
        """The condition with a control video, over a walk of so many steps.

        Raises what `check_structures` raises, and MediaError for what is no picture.
        """
        ...


@runtime_checkable
class FirstPictureBackbone(VideoControlBackbone, Protocol):
    """A backbone whose clips start with a picture: the one that is given, else the first frame of the clip to edit."""

    @property
    def starts_with_picture(self) -> bool:
        """Always, where a class has this property."""
        ...
