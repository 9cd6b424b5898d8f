"""What is known of a media file before its frames are read, and which part of it is wanted."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from math import isfinite
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from recast.errors import RequestError

DEINTERLACED = "interlaced frames were made whole (bwdif)"
WOVEN = "interlaced frames were kept as they are, two moments in each; the output does not say that it is interlaced"
MOST_FRAMES = 2**31 - 1
"""Of a window: a year and more."""


@dataclass(frozen=True)
class Window:
    """A stretch of a video: frames with start <= time < end, times in seconds since the first frame.

    max_frames: at most so many frames. size: rows and columns to resize to while reading; None keeps the source's.
    Raises RequestError for values that cannot hold any frame.
    """

    start: float = 0.0
    end: float | None = None
    max_frames: int | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.start) and self.start >= 0):
            raise RequestError(f"the window starts at {self.start:g} s; give a start of 0 or later")
        if self.end is not None and not self.end > self.start:
            raise RequestError(f"the window ends at {self.end:g} s, not after its start at {self.start:g} s")
        if self.max_frames is not None and not 1 <= self.max_frames <= MOST_FRAMES:
            raise RequestError(
                f"a window has 1 to {MOST_FRAMES} frames, not {str(self.max_frames)[:20]}; ask for these"
            )
        if self.size is not None and min(self.size) < 1:
            raise RequestError(f"{self.size[0]} rows by {self.size[1]} columns is no picture size; both start at 1")

    @property
    def to_the_end(self) -> bool:
        """Whether the last frame wanted is the file's last."""
        return self.end is None and self.max_frames is None


@dataclass(frozen=True)
class Colour:
    """How numbers in the file become light; code points of ITU-T H.273, 2 is untold."""

    matrix: int = 2
    transfer: int = 2
    primaries: int = 2
    full_range: bool = False


@dataclass(frozen=True)
class Orientation:
    """How stored pixels are turned upright: first rows and columns swap, then rows, then columns are reversed."""

    transposed: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether left and right change places, besides any turn."""
        return (self.transposed + self.rows_reversed + self.columns_reversed) % 2 == 1

    @property
    def degrees(self) -> int:
        """Clockwise turn, before the left-right mirror if there is one."""
        if self.transposed:
            return 270 if self.rows_reversed else 90
        return 180 if self.rows_reversed else 0

    def upright(self, image: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
        """The decoded picture as it is to be seen."""
        turned = image.swapaxes(0, 1) if self.transposed else image
        return np.ascontiguousarray(turned[:: -1 if self.rows_reversed else 1, :: -1 if self.columns_reversed else 1])

    def upright_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the upright picture, from those of the decoded one."""
        return size[::-1] if self.transposed else size


class OnDamage(StrEnum):
    """What is to be done about a file that is damaged in the stretch that is read."""

    FAIL = "fail"
    """Nothing is made of it; the message counts the damage."""
    WARN = "warn"
    """What can be decoded is used as it comes, and noted."""
    REPEAT = "repeat"
    """The same, and what is missing or known to be corrupt is filled with the frame before it, so times are kept."""


@dataclass(eq=False)
class Damage:
    """What was found broken up to now, as a source's frames were read; reading them again finds the same once.

    refused: packets that the decoder could not read. corrupt: frames that it gave and called corrupt. missing: frames
    that the file promises, by its header or by its packets, and that did not come. reported: lines in which FFmpeg
    told of errors in the file. repeated: frames that were put in place of missing and corrupt ones.
    """

    refused: int = 0
    corrupt: int = 0
    missing: int = 0
    reported: int = 0
    repeated: int = 0

    def __bool__(self) -> bool:
        return bool(self.refused or self.corrupt or self.missing or self.reported)

    def found(self, other: "Damage") -> None:
        """Takes in what another reading of the same source found."""
        for name in vars(self):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))

    @property
    def counts(self) -> str:
        """All that was found, in words."""
        each = (
            (self.refused, "packet could not be decoded", "packets could not be decoded"),
            (self.corrupt, "frame was decoded with errors", "frames were decoded with errors"),
            (self.missing, "frame is missing", "frames are missing"),
            (self.reported, "error was reported by FFmpeg", "errors were reported by FFmpeg"),
        )
        return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in each if count)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A media file, or a folder of pictures, that was found fit to read.

    size: rows and columns as shown upright, in coded pixels. sample_aspect: width of such a pixel over its height.
    fps: mean frame rate, exact. constant: the rate never varies, as far as the first frames tell. deinterlaced:
    interlaced frames are made whole as they are read. tone_mapped: HDR is rolled off into standard range. transparent:
    pixels may be transparent. alpha: what is read is opacity, as grey, in place of colours. keeps_alpha: what is
    written of it gets its opacity.
    num_frames: counted, or as the file's header says, or None. seconds: length as the header says, or None.
    first_pts: the first frame's time in the file's own clock, in the time base.
    assumed: what had to be given up or assumed in conversion. damage: grows while frames are read. on_damage: what is
    done about it then.
    """

    path: Path
    size: tuple[int, int]
    fps: Fraction
    time_base: Fraction
    codec: str
    pixel_format: str
    container: str
    num_frames: int | None = None
    seconds: Fraction | None = None
    sample_aspect: Fraction = Fraction(1)
    orientation: Orientation = Orientation()
    colour: Colour = Colour()
    constant: bool = True
    interlaced: bool = False
    deinterlaced: bool = True
    tone_mapped: bool = False
    transparent: bool = False
    alpha: bool = False
    keeps_alpha: bool = False
    sound_codec: str | None = None
    first_pts: int = 0
    is_sequence: bool = False
    pictures: tuple[Path, ...] = field(default=(), repr=False)
    assumed: tuple[str, ...] = ()
    damage: Damage = field(default_factory=Damage, repr=False)
    on_damage: OnDamage = OnDamage.FAIL

    @property
    def notes(self) -> tuple[str, ...]:
        """What was given up, assumed, or found damaged up to now, for the user to read."""
        if not self.damage:
            return self.assumed
        done = {OnDamage.FAIL: "", OnDamage.WARN: "; the rest was used as it came"}
        filled = f"; {self.damage.repeated} were filled with the frame before, and the rest was used as it came"
        return (*self.assumed, f"the file is damaged: {self.damage.counts}{done.get(self.on_damage, filled)}")

    def woven(self) -> "Source":
        """The same, whose interlaced frames are read as they are, both fields in one picture."""
        kept = tuple(note for note in self.assumed if note != DEINTERLACED)
        return replace(self, deinterlaced=False, assumed=(*kept, WOVEN) if self.interlaced else kept)

    def with_changed(self, note: str, by: tuple[str, ...], **fields: bool) -> "Source":
        """The same, read with other `fields`; the notes `by` are then the note."""
        return replace(self, assumed=(*(each for each in self.assumed if each not in by), note), **fields)

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which decoded pixels are turned to stand upright."""
        return self.orientation.degrees

    @property
    def mirrored(self) -> bool:
        """Whether decoded pixels are mirrored, left to right, after the turn."""
        return self.orientation.mirrored

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound stream."""
        return self.sound_codec is not None

    @property
    def first_seconds(self) -> Fraction:
        """The first frame's time on the file's own clock, which sound is timed by."""
        return self.first_pts * self.time_base
