"""Video files to frames, one at a time: upright, 8-bit sRGB, with exact times."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from os import PathLike
from pathlib import Path

import torch
from einops import rearrange

from recast.errors import RequestError, known
from recast.types import Clip
from recast.video import isolated
from recast.video.frame import Frame
from recast.video.resize import resized
from recast.video.sequence import is_sequence, pictures, sequence
from recast.video.shown import Shown, is_before, is_past
from recast.video.source import OnDamage, Source, Window

__all__ = ["Frame", "Source", "Window", "cut", "frames", "opened", "read"]


def opened(path: str | PathLike[str], on_damage: str = OnDamage.FAIL) -> Source:
    """Looks at a file, a folder of pictures or a pattern (shot_%04d.png), and decodes one frame of it.

    on_damage: what is done when its frames are read and some are found damaged: fail, warn or repeat.
    Raises MediaError, in one line, for whatever cannot be read.
    """
    path, wish = Path(path), OnDamage(known("way with damage", on_damage, list(OnDamage)))
    return replace(sequence(path), on_damage=wish) if is_sequence(path) else isolated.probe(path, wish)


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

    Raises RequestError for a window after the end, and MediaError for damage in the window where `source.on_damage`
    does not allow it; fewer frames than the file promised are such, once its end is reached.
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
    for frame in shown:
        if is_past(frame.seconds, window):
            return
        if not is_before(frame.seconds, window):
            yield frame


def _shown_pictures(source: Source, window: Window) -> Iterator[Frame]:
    skipped = max(0, int(Fraction(window.start) * source.fps) - 1)
    for count, (pts, duration, pixels) in enumerate(pictures(source, skipped)):
        # A picture of several files has its place as its time, also where damaged ones before it were left out.
        yield _frame(source, Shown(pixels, pts, pts if source.pictures else count, duration))


def _shown_video(source: Source, window: Window) -> Iterator[Frame]:
    return (_frame(source, shown) for shown in isolated.shown(source, window))


def _frame(source: Source, shown: Shown) -> Frame:
    pixels = rearrange(torch.from_numpy(shown.image), "h w c -> c h w")
    return Frame(pixels, shown.pts, shown.pts * source.time_base, shown.index, shown.duration)
