"""Frames to a video file or a folder of pictures: same times, sound and shape as the source, all or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from recast.errors import RequestError, ShapeError
from recast.progress import Report, unreported
from recast.types import Clip
from recast.video.codecs import Codec, check_alpha, check_frames, chosen
from recast.video.colour import off_black
from recast.video.encode import Moment, kind_of
from recast.video.frame import Frame
from recast.video.mux import Movie
from recast.video.opacity import Opacity
from recast.video.output import is_folder, new_file, new_folder
from recast.video.sequence import NUMBER
from recast.video.source import Source, Window
from recast.video.stills import Stills

MOST_FPS = 1000
PICTURE_CODECS = ("auto", "png", "png16")
"""Ways to write pictures: PNG of 8 bits a channel, or of 16."""


@runtime_checkable
class Sink(Protocol):
    """What takes frames, of RGB or with straight alpha: a `Movie`, or a folder of `Stills`."""

    notes: list[str]

    def add(self, image: UInt8[np.ndarray, "h w c"], moment: Moment) -> None:
        """Writes the next frame."""
        ...

    def finish(self) -> None:
        """Makes the file complete."""
        ...


class Writer:
    """Takes the new frames of a window, in order, each with the source frame whose place in time it has.

    Where the source keeps its alpha, each gets the opacity of that source frame.
    """

    def __init__(self, sink: Sink, source: Source, window: Window, fps: Fraction | None) -> None:
        self._sink, self._source, self._size, self._fps = sink, source, source.size, fps
        self._opacity = Opacity(source, window) if source.keeps_alpha else None
        self._first_pts: int | None = None
        self.num_frames = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be kept as it was in the source, for the user to read."""
        return tuple(dict.fromkeys(self._sink.notes))

    def add(self, frame: UInt8[Tensor, "3 h w"], like: Frame) -> None:
        """Writes one frame at the time of `like`. Raises ShapeError where its size is not the one announced."""
        if tuple(frame.shape[-2:]) != self._size:
            rows, columns = self._size
            was = f"{frame.shape[-1]}x{frame.shape[-2]}"
            raise ShapeError(f"a frame is {was} and the video {columns}x{rows}; resize it")
        self._first_pts = like.pts if self._first_pts is None else self._first_pts
        image = np.ascontiguousarray(rearrange(frame, "c h w -> h w c").cpu().numpy())
        image = image if self._opacity is None else off_black(image, self._opacity.of(like))
        self._sink.add(image, Moment(self._seconds(like), self._duration(like), like.seconds))
        self.num_frames += 1

    def _seconds(self, like: Frame) -> Fraction:
        if self._fps is not None:
            return self.num_frames / self._fps
        seconds = (like.pts - (self._first_pts or 0)) * self._source.time_base
        # A steady source whose container rounds times (Matroska, to 1 ms) gets its exact rate back.
        place = round(seconds * self._source.fps) / self._source.fps
        steady = self._source.constant and abs(seconds - place) <= self._source.time_base
        return place if steady else seconds

    def _duration(self, like: Frame) -> Fraction:
        steady = self._fps is not None or self._source.constant or not like.duration
        return 1 / (self._fps or self._source.fps) if steady else like.duration * self._source.time_base


@contextmanager
def writing(
    target: Path,
    source: Source,
    window: Window,
    *,
    record: str | None,
    overwrite: bool = False,
    fps: Fraction | None = None,
    codec: str = "auto",
    inside: Path | None = None,
) -> Iterator[Writer]:
    """A `Writer` for a window of `source`; the file appears under its name only when the block ends well.

    target: by ending, mp4 m4v mov mkv webm avi gif; a name without ending is a folder of pictures, as is a pattern
    (shots/%05d.png). record: JSON text to embed. fps: frames at this rate, instead of at the source's times.
    codec: a name of CODECS, auto for the usual one. inside: the workplace of a run that has one.
    Raises RequestError for a target that exists (unless `overwrite`), cannot be made, or is the source itself, and
    where no frame was added.
    """
    target = Path(target)
    check_writable(target, source, codec=codec, fps=fps)
    if is_folder(target):
        pattern = target.name if NUMBER.search(target.name) else "%05d.png"
        folder = target.parent if NUMBER.search(target.name) else target
        with new_folder(folder, pattern, overwrite, inside) as place:
            stills = Stills(place, pattern, source, fps, record, deep=codec == "png16")
            yield from _filled(stills, source, window, fps)
        return
    with new_file(target, overwrite, inside) as place:
        movie = Movie(place, kind_of(target), source, window, codec=_codec(target, source, codec), fps=fps)
        with movie:
            movie.embed(record)
            yield from _filled(movie, source, window, fps)


def save_clip(
    clip: Clip,
    target: Path,
    report: Report = unreported,
    *,
    overwrite: bool = False,
    record: str | None = None,
    codec: str = "auto",
    inside: Path | None = None,
) -> tuple[str, ...]:
    """Writes a clip that came from no file, at its own rate; returns the notes. Targets and errors as for `writing`."""
    tick = 1 / clip.fps
    source = Source(
        path=Path("<memory>"),
        size=clip.size,
        fps=clip.fps,
        time_base=tick,
        codec="rawvideo",
        pixel_format="rgb24",
        container="memory",
        num_frames=len(clip),
    )
    with writing(target, source, Window(), record=record, overwrite=overwrite, codec=codec, inside=inside) as writer:
        for index, pixels in enumerate(clip.frames):
            report(index, len(clip))
            writer.add(pixels, like=Frame(pixels, index, index * tick, index, duration=1))
    return writer.notes


def _filled(sink: Sink, source: Source, window: Window, fps: Fraction | None) -> Iterator[Writer]:
    writer = Writer(sink, source, window, fps)
    yield writer
    if not writer.num_frames:
        raise RequestError("no frame was written; check the window")
    sink.finish()


def check_writable(target: Path, source: Source, *, codec: str, fps: Fraction | None = None) -> None:
    """Raises RequestError where `writing` would: for the target's name, and frames that its encoder does not take."""
    if target.exists() and source.path.exists() and target.samefile(source.path):
        raise RequestError(f"this would write over the source; give another name: {target}")
    if fps is not None and not 0 < fps <= MOST_FPS:
        raise RequestError(f"{fps} frames a second cannot be written; give more than 0 and at most {MOST_FPS}")
    if is_folder(target):
        if codec not in PICTURE_CODECS:
            raise RequestError(f"pictures are PNG files, which hold no {codec}; say png16 or leave it out: {target}")
    else:
        encoder = _codec(target, source, codec)
        if source.keeps_alpha:
            check_alpha(encoder)
        check_frames(encoder, source.size, fps or source.fps)


def _codec(target: Path, source: Source, name: str) -> Codec:
    kind = kind_of(target)
    return chosen(name, kind.codecs, kind.container, alpha=source.keeps_alpha)
