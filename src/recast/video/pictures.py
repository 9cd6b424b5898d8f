"""Picture sequences as video: a folder, a pattern such as frame_%05d.png, one still, or an animated WebP."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from recast.errors import MediaError, RecastError
from recast.video.colour import TRANSPARENT, on_black
from recast.video.container import MAX_PIXELS, regular_file
from recast.video.source import Source

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp")
ASSUMED_FPS = Fraction(24)
STILLS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Formats of a single picture, by Pillow's names."""
NUMBER = re.compile(r"%0?(\d*)d")
RECORD_NAME = "recast.json"
RIFF_HEADER_BYTES, ANMF_HEADER_BYTES = 12, 16
MOST_PICTURES = 1_000_000
"""Of an animation, or of a folder."""


def is_sequence(path: Path) -> bool:
    """Whether `path` means pictures, by its name or by being a folder."""
    return path.is_dir() or path.suffix.lower() in EXTENSIONS


def sequence(path: Path) -> Source:
    """The pictures at `path` as a source. Raises MediaError where there are none or the first is damaged."""
    if path.suffix.lower() == ".webp" and path.is_file():
        return _animation(path)
    paths = _numbered(path) if NUMBER.search(path.name) else _inside(path)
    with picture_at(paths[0]) as first:
        # Pillow names the depth of stored pixels nowhere else, and forgets it as it reads them.
        deep = first.mode.startswith("I") or ";16" in str(getattr(first, "tile", ""))
        size = _upright_size(first)
        mode, kind = first.mode, str(first.format).lower()
        rate = first.info.get("fps")
    fps = _parsed(rate, paths[0]) if rate else ASSUMED_FPS
    notes = [] if rate or len(paths) == 1 else [f"pictures have no frame rate; {ASSUMED_FPS} a second is assumed"]
    if deep:
        notes.append("16-bit colours were brought to 8 bits")
    if "A" in mode or "P" in mode:
        notes.append(TRANSPARENT)
    return Source(
        path=path,
        size=size,
        fps=fps,
        time_base=1 / fps,
        codec=kind,
        pixel_format=mode.lower(),
        container="pictures",
        num_frames=len(paths),
        seconds=len(paths) / fps,
        is_sequence=True,
        transparent="A" in mode or "P" in mode,
        pictures=tuple(paths),
        assumed=tuple(notes),
    )


def pictures(source: Source, first: int) -> Iterator[tuple[int, int, UInt8[np.ndarray, "h w 3"]]]:
    """Time in the source's time base, duration, and upright RGB pixels, from the picture with index `first` on."""
    if source.codec == "webp" and source.path.is_file():
        yield from _animated(source)
        return
    for index, path in enumerate(source.pictures[first:], first):
        with picture_at(path) as picture:
            if _upright_size(picture) != source.size:
                was, now = (f"{columns}x{rows}" for rows, columns in (source.size, _upright_size(picture)))
                raise MediaError(f"the pictures differ in size: the first is {was} and this one {now}: {path}")
            yield index, 1, _seen(ImageOps.exif_transpose(picture), source)


def _inside(path: Path) -> list[Path]:
    if not path.exists():
        raise MediaError(f"there is no such file: {path}")
    if not path.is_dir():
        return [path]
    found = [file for file in path.iterdir() if file.suffix.lower() in EXTENSIONS and file.is_file()]
    if not found:
        raise MediaError(f"the folder holds no pictures (png, jpg, webp): {path}")
    return sorted(found, key=_in_order)


def _in_order(file: Path) -> tuple[list[str], list[int]]:
    # frame2 before frame10
    return re.split(r"\d+", file.name), [int(number) for number in re.findall(r"\d+", file.name)]


def numbered_as(pattern: str) -> re.Pattern[str]:
    """What matches the names that `pattern` (frame_%05d.png) stands for; its group is the number."""
    before, _, after = NUMBER.split(pattern, maxsplit=1)
    return re.compile(re.escape(before) + r"(\d+)" + re.escape(after))


def _numbered(pattern: Path) -> list[Path]:
    matches = numbered_as(pattern.name)
    folder = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    found = {int(match[1]): file for file in folder if (match := matches.fullmatch(file.name))}
    if not found:
        raise MediaError(f"no picture is named like this: {pattern}")
    return [found[number] for number in sorted(found)]


@contextmanager
def picture_at(path: Path, kinds: tuple[str, ...] = ("PNG", "JPEG", "WEBP")) -> Iterator[Image.Image]:
    """The open picture, its size checked before it is decoded. Raises MediaError, also for what Pillow finds inside."""
    with regular_file(path) as file, picture_in(file, path, kinds) as picture:
        yield picture


@contextmanager
def picture_in(file: BinaryIO, path: Path, kinds: tuple[str, ...]) -> Iterator[Image.Image]:
    """The picture in an open file, as `picture_at`. path: for what is said of it."""
    try:
        with _opened(file, kinds) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise MediaError(f"{picture.width}x{picture.height} is more than {MAX_PIXELS} pixels: {path}")
            yield picture
    except RecastError:
        raise
    except Exception as error:  # Pillow's readers raise SyntaxError and struct.error too, on damaged files
        raise MediaError(f"the picture is damaged, or no {' or '.join(kinds)}: {path}") from error


def upright_rgba(picture: Image.Image) -> UInt8[np.ndarray, "h w 4"]:
    """A picture as it is to be seen, with its opacity."""
    return np.array(ImageOps.exif_transpose(picture).convert("RGBA"))


def _opened(file: BinaryIO, kinds: tuple[str, ...]) -> Image.Image:
    # No longer than this: filters of warnings are the whole process's, and a picture may stay open while others work.
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(file, formats=kinds)


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    sideways = picture.getexif().get(0x0112, 1) >= 5
    return picture.size if sideways else picture.size[::-1]


def _seen(picture: Image.Image, source: Source) -> UInt8[np.ndarray, "h w 3"]:
    if source.alpha:
        return np.repeat(np.asarray(picture.convert("RGBA"))[..., 3:], 3, axis=-1)
    return _rgb(picture)


def _rgb(picture: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    if picture.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion to RGB clips at 255.
        grey = np.asarray(picture).astype(np.uint32) >> 8
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
    if picture.has_transparency_data:
        return on_black(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _parsed(text: str, path: Path) -> Fraction:
    try:
        fps = Fraction(text)
        if fps > 0:
            return fps
    except (ValueError, ZeroDivisionError):
        pass
    raise MediaError(f"the picture's frame rate is damaged, {text[:20]!r}; rename or rewrite it: {path}")


def _animation(path: Path) -> Source:
    with picture_at(path) as picture:
        size, transparent = _upright_size(picture), picture.has_transparency_data
    durations = [max(1, each) for each in _frame_durations(path)]
    count = len(durations)
    return Source(
        path=path,
        size=size,
        fps=Fraction(1000 * count, sum(durations)).limit_denominator(1001),
        time_base=Fraction(1, 1000),
        codec="webp",
        pixel_format="rgb",
        container="webp",
        num_frames=count,
        seconds=Fraction(sum(durations), 1000),
        constant=max(durations) - min(durations) <= 1,
        is_sequence=True,
        transparent=transparent,
    )


def _animated(source: Source) -> Iterator[tuple[int, int, UInt8[np.ndarray, "h w 3"]]]:
    time = 0
    with picture_at(source.path) as picture:
        for index in range(source.num_frames or 0):
            picture.seek(index)
            pixels = _seen(picture, source)
            duration = max(1, int(picture.info.get("duration", 100)))
            yield time, duration, pixels
            time += duration


def _frame_durations(path: Path) -> list[int]:
    """Of each frame of a WebP file, in milliseconds, from the heads of its chunks: no picture is decoded for them.

    A still has one frame, of 100 ms. The format: RFC 9649, sections 2.3 and 2.7.1.
    """
    durations = []
    with regular_file(path) as file:
        file.seek(RIFF_HEADER_BYTES)
        while len(head := file.read(8)) == 8 and len(durations) < MOST_PICTURES:
            size = int.from_bytes(head[4:], "little")
            end = file.tell() + size + size % 2
            if head[:4] == b"ANMF":
                durations.append(int.from_bytes(file.read(ANMF_HEADER_BYTES)[12:15], "little"))
            file.seek(end)
    return durations or [100]
