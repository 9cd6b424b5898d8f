"""Video files to frames, one at a time: upright, 8-bit sRGB, with exact times."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from os import PathLike
from pathlib import Path

import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from einops import rearrange

from recast.errors import MediaError, RequestError
from recast.types import Clip
from recast.video.colour import rgb_converter
from recast.video.container import demuxing, reported, video_stream
from recast.video.decode import Decoder, deinterlaced
from recast.video.pictures import is_sequence, pictures, sequence
from recast.video.probe import probed
from recast.video.resize import resized
from recast.video.source import Frame, Source, Window

__all__ = ["Frame", "Source", "Window", "cut", "frames", "opened", "read"]

SEEKABLE = ("mov", "matroska")
SEEK_FROM_SECONDS = 10


def opened(path: str | PathLike[str]) -> Source:
    """Looks at a file, a folder of pictures or a pattern (shot_%04d.png), and decodes one frame of it.

    Raises MediaError, in one line, for whatever cannot be read.
    """
    path = Path(path)
    if is_sequence(path):
        return sequence(path)
    with demuxing(path) as container, reported(path):
        return probed(path, container, video_stream(container, path))


def read(source: Source, window: Window) -> Clip:
    """The window's frames, resized to `window.size` as they are decoded. Raises MediaError, as `frames`."""
    clip, first = [], 0
    for frame in frames(source, window):
        first = first if clip else frame.index
        pixels = frame.pixels if window.size is None else resized(frame.pixels[None], window.size)[0]
        clip.append(pixels.contiguous())
    return Clip(torch.stack(clip), source.fps, first)


def cut(clip: Clip, window: Window) -> Clip:
    """The window of a clip from memory, as `read` takes it from a file: times count from its first frame.

    Raises RequestError for a window after its end.
    """
    shown = (Frame(each, i, i / clip.fps, i) for i, each in enumerate(clip.frames))
    kept = [frame.index for frame in islice(_within(shown, window), window.max_frames)]
    if not kept:
        raise RequestError(f"no frame lies in the window from {window.start:g} s of a clip of {clip.seconds:.2f} s")
    pixels = clip.frames[kept[0] : kept[-1] + 1]
    return Clip(pixels if window.size is None else resized(pixels, window.size), clip.fps, clip.first + kept[0])


def frames(source: Source, window: Window) -> Iterator[Frame]:
    """The window's frames at full size, one at a time, in order of time. `window.size` does not matter here.

    Raises RequestError for a window after the end, MediaError for damage, and, once the end of the file is reached,
    MediaError where it holds clearly fewer frames than it promised.
    """
    shown = _shown_pictures if source.is_sequence else _shown_video
    count = 0
    for frame in islice(_within(shown(source, window), window), window.max_frames):
        count += 1
        yield frame
    if not count:
        length = "" if source.seconds is None else f", which is {float(source.seconds):.2f} s long"
        raise RequestError(f"no frame lies in the window from {window.start:g} s{length}: {source.path}")


def _within(shown: Iterator[Frame], window: Window) -> Iterator[Frame]:
    # A millisecond of grace: Matroska rounds times to it, and users type 0.033 for 1/30.
    grace = Fraction(1, 1000)
    for frame in shown:
        if window.end is not None and frame.seconds >= Fraction(window.end) - grace:
            return
        if frame.seconds >= Fraction(window.start) - grace:
            yield frame


def _shown_pictures(source: Source, window: Window) -> Iterator[Frame]:
    skipped = max(0, int(Fraction(window.start) * source.fps) - 1)
    for index, (pts, duration, pixels) in enumerate(pictures(source, skipped), skipped if source.pictures else 0):
        tensor = rearrange(torch.from_numpy(pixels), "h w c -> c h w")
        yield Frame(tensor, pts, pts * source.time_base, index, duration)


def _shown_video(source: Source, window: Window) -> Iterator[Frame]:
    with demuxing(source.path) as container, reported(source.path):
        stream = video_stream(container, source.path)
        skipped = _seek(source, container, stream, window.start)
        decoder = Decoder(source, container, stream)
        decoded = iter(decoder)
        if source.interlaced:
            decoded = deinterlaced(decoded, stream)
        yield from _timed(source, decoded, skipped)
        if not skipped:
            decoder.check_complete()


def _seek(source: Source, container: InputContainer, stream: VideoStream, start: float) -> int:
    """Jumps to the key frame before `start` where that is worth it and safe; returns how many frames lie before it."""
    if start < SEEK_FROM_SECONDS or not source.container.startswith(SEEKABLE) or source.interlaced:
        return 0
    wanted = source.first_pts + int(Fraction(start) / source.time_base)
    container.seek(wanted, stream=stream)
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


def _timed(source: Source, decoded: Iterator[VideoFrame], skipped: int) -> Iterator[Frame]:
    rgb, shape, last = rgb_converter(), None, -1
    step = max(1, round(1 / source.fps / source.time_base))
    for index, frame in enumerate(decoded, skipped):
        shape = shape or (frame.height, frame.width)
        if shape != (frame.height, frame.width):
            now = f"{frame.width}x{frame.height}"
            raise MediaError(f"the picture size changes to {now} at frame {index}; cut the video there: {source.path}")
        # Some files leave times out or let them run backwards; frames are shown in the order they come all the same.
        pts = last + step if frame.pts is None else max(frame.pts - source.first_pts, last + 1)
        last = pts
        pixels = rearrange(torch.from_numpy(source.orientation.upright(rgb(frame))), "h w c -> c h w")
        yield Frame(pixels, pts, pts * source.time_base, index, frame.duration or 0)
