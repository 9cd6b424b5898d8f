"""A video's frames as they are shown, in order of time: upright sRGB arrays; what is damaged is refused or filled."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedReader

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from recast.errors import MediaError
from recast.video.colour import rgb_converter
from recast.video.container import demuxing, reported, video_stream
from recast.video.decode import Decoder, deinterlaced
from recast.video.source import OnDamage, Source, Window

SEEKABLE = ("mov", "matroska")
SEEK_FROM_SECONDS = 10
COUNTED_ON = 250
"""Frames after the first damage that are looked at to say how much of it there is."""

Image = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture. pts, duration: in the source's time base, from the file's first frame. index: in the whole file."""

    image: Image
    pts: int
    index: int
    duration: int


def shown_video(
    source: Source,
    window: Window,
    file: BufferedReader,
    *,
    errors: Callable[[], int] = lambda: 0,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Shown]:
    """The window's frames at full size. errors, tick: as `Decoder` has them. `source.damage` is kept up to date.

    Raises MediaError for what cannot be read and, unless `source.on_damage` says otherwise, for damage in the window.
    """
    with demuxing(source.path, file) as container, reported(source.path):
        stream = video_stream(container, source.path)
        skipped = _seek(source, container, stream, window.start)
        decoder = Decoder(source, container, stream, errors=errors, tick=tick, midway=bool(skipped))
        yield from Showing(source, window, decoder).shown(stream, skipped)


class Showing:
    """One pass over the frames of a source."""

    def __init__(self, source: Source, window: Window, decoder: Decoder) -> None:
        self._source, self._window, self._decoder = source, window, decoder
        self._repeats = source.on_damage is OnDamage.REPEAT
        self._step = max(1, round(1 / source.fps / source.time_base))
        self._rgb = rgb_converter(tone_mapped=source.tone_mapped, alpha=source.alpha)
        self._last, self._index, self._count = -1, 0, 0
        self._over = False
        self._shape: tuple[int, int] | None = None
        self._good: VideoFrame | None = None
        self._image: Image | None = None

    def shown(self, stream: VideoStream, skipped: int) -> Iterator[Shown]:
        """The frames of the window. skipped: how many lie before the place that was sought."""
        self._index, coming = skipped, iter(self._decoder)
        whole = self._source.interlaced and self._source.deinterlaced
        decoded = deinterlaced(coming, stream) if whole else coming
        for frame in decoded:
            self._check(decoded)
            yield from self._wanted(self._placed(frame))
            if self._over:
                return
        yield from self._end(skipped)

    def _wanted(self, placed: Iterator[tuple[int, int]]) -> Iterator[Shown]:
        """Pictures for times and durations, as far as they lie in the window: each shows the last good frame."""
        for pts, duration in placed:
            seconds = pts * self._source.time_base
            self._over = self._over or is_past(seconds, self._window)
            if self._over:
                return
            index, self._last, self._index = self._index, pts, self._index + 1
            if is_before(seconds, self._window):
                continue
            self._count += 1
            self._over = self._count == self._window.max_frames
            yield Shown(self._converted(), pts, index, duration)

    def _converted(self) -> Image:
        # Only wanted frames are converted, which is most of the work.
        if self._image is None:
            assert self._good is not None
            self._image = self._source.orientation.upright(self._rgb(self._good))
        return self._image

    def _placed(self, frame: VideoFrame) -> Iterator[tuple[int, int]]:
        """The times of frames that were lost before this one, where they are to be filled, and its own."""
        self._check_size(frame)
        lost = self._decoder.lost_before(frame.pts)
        if self._repeats and self._good is not None:
            yield from self._filled(lost)
        # Some files leave times out or let them run backwards; frames are shown in the order they come all the same.
        pts = self._last + self._step if frame.pts is None else max(frame.pts - self._source.first_pts, self._last + 1)
        if self._repeats and frame.is_corrupt and self._good is not None:
            self._decoder.damage.repeated += 1
        else:
            self._good, self._image = frame, None
        yield pts, frame.duration or 0

    def _filled(self, times: Iterable[int]) -> Iterator[tuple[int, int]]:
        for time in times:
            self._decoder.damage.repeated += 1
            yield max(time - self._source.first_pts, self._last + 1), self._step

    def _check_size(self, frame: VideoFrame) -> None:
        shape = (frame.height, frame.width)
        self._shape = self._shape or shape
        if self._shape != shape or self._source.orientation.upright_size(shape) != self._source.size:
            raise MediaError(
                f"the picture size changes to {frame.width}x{frame.height} at frame {self._index}; "
                f"cut the video there: {self._source.path}"
            )

    def _check(self, rest: Iterator[VideoFrame]) -> None:
        """Notes the damage up to now, or raises MediaError for it after a look at what follows."""
        self._source.damage.found(self._decoder.damage)
        if not self._decoder.damage or self._source.on_damage is not OnDamage.FAIL:
            return
        seen = float(max(0, self._last) * self._source.time_base)
        count = sum(1 for _, _ in zip(range(COUNTED_ON), rest, strict=False))
        self._refuse(f"from about {seen:.2f} s on", seen, None if count == COUNTED_ON else self._decoder.finish())

    def _refuse(self, where: str, seen: float, counted: tuple[int, int] | None) -> None:
        self._source.damage.found(self._decoder.damage)
        expected, came = counted or (0, 0)
        frames = f"{expected} frames were expected and {came} decoded; " if expected > came else ""
        earlier = f"end before that with --end {seen - 1:.2f}, or " if seen > 2 else ""
        raise MediaError(
            f"the video is cut off or damaged {where}: {frames}{self._decoder.damage.counts}; mend it, {earlier}say "
            f"--on-damage warn to use what there is, or --on-damage repeat to fill gaps: {self._source.path}"
        )

    def _end(self, skipped: int) -> Iterator[Shown]:
        """What is still missing at the end of the file, where it is to be filled; `_check` for the end."""
        lost = self._decoder.lost_before(None)
        expected, came = self._decoder.finish() if not skipped else (0, 0)
        self._source.damage.found(self._decoder.damage)
        if self._decoder.damage and self._source.on_damage is OnDamage.FAIL:
            self._refuse("near its end", float(max(0, self._last) * self._source.time_base), (expected, came))
        if not self._repeats or not self._decoder.damage:
            return
        if expected > 2 * came:
            raise MediaError(
                f"{expected} frames were expected and {came} decoded, too few to fill the rest with; "
                f"say --on-damage warn to use these: {self._source.path}"
            )
        if self._good is not None:
            yield from self._wanted(self._filled(lost))
            gone = expected - self._index if self._source.constant else 0
            ends = (self._source.first_pts + self._last + self._step for _ in range(gone))
            yield from self._wanted(self._filled(ends))
        self._source.damage.found(self._decoder.damage)


# A millisecond of grace: Matroska rounds times to it, and users type 0.033 for 1/30.
_GRACE = Fraction(1, 1000)


def is_before(seconds: Fraction, window: Window) -> bool:
    """Whether a frame of that time lies before the window."""
    return seconds < Fraction(window.start) - _GRACE


def is_past(seconds: Fraction, window: Window) -> bool:
    """Whether it lies behind the window, as do all that follow."""
    return window.end is not None and seconds >= Fraction(window.end) - _GRACE


def _seek(source: Source, container: InputContainer, stream: VideoStream, start: float) -> int:
    """Jumps to the key frame before `start` where that is worth it and safe; returns how many frames lie before it."""
    if start < SEEK_FROM_SECONDS or not source.container.startswith(SEEKABLE) or source.interlaced:
        return 0
    wanted = source.first_pts + int(Fraction(start) / source.time_base)
    container.seek(wanted, stream=stream)
    landed = None
    with suppress(FFmpegError):
        landed = next((frame.pts for frame in container.decode(stream)), None)
    container.seek(0)
    stream.codec_context.flush_buffers()
    if landed is None or not source.first_pts < landed <= wanted:
        return 0
    skipped = 0
    for packet in container.demux(stream):
        if packet.dts is not None and packet.dts > landed:
            break
        skipped += packet.pts is not None and source.first_pts <= packet.pts < landed and not packet.is_discard
    container.seek(wanted, stream=stream)
    return skipped
