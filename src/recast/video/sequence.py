"""Picture sequences as video: a folder, a pattern such as frame_%05d.png, one still, or an animated WebP."""

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from recast.errors import MediaError
from recast.video import isolated_pictures as isolated
from recast.video.colour import TRANSPARENT
from recast.video.pictures import PictureFacts
from recast.video.source import Damage, OnDamage, Source

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp")
KINDS = ("PNG", "JPEG", "WEBP")
"""Formats of a sequence, by Pillow's names."""
ASSUMED_FPS = Fraction(24)
NUMBER = re.compile(r"%0?(\d*)d")
RECORD_NAME = "recast.json"
AHEAD = 1
"""Pictures that are decoded before they are asked for."""
Image = UInt8[np.ndarray, "h w 3"]


def is_sequence(path: Path) -> bool:
    """Whether `path` means pictures, by its name or by being a folder."""
    return path.is_dir() or path.suffix.lower() in EXTENSIONS


def sequence(path: Path) -> Source:
    """The pictures at `path` as a source. Raises MediaError where there are none or the first is damaged."""
    if path.suffix.lower() == ".webp" and path.is_file():
        return _animation(path, isolated.facts(path, KINDS))
    paths = _numbered(path) if NUMBER.search(path.name) else _inside(path)
    first = isolated.facts(paths[0], KINDS)
    fps = _parsed(first.rate, paths[0]) if first.rate else ASSUMED_FPS
    notes = [] if first.rate or len(paths) == 1 else [f"pictures have no frame rate; {ASSUMED_FPS} a second is assumed"]
    if first.deep:
        notes.append("16-bit colours were brought to 8 bits")
    if first.transparent:
        notes.append(TRANSPARENT)
    if first.moving and len(paths) == 1:
        notes.append("of a PNG that moves the first picture alone is read; make it a GIF or an animated WebP")
    notes.extend(_gaps(paths))
    return Source(
        path=path,
        size=first.size,
        fps=fps,
        time_base=1 / fps,
        codec=first.kind,
        pixel_format=first.mode.lower(),
        container="pictures",
        num_frames=len(paths),
        seconds=len(paths) / fps,
        is_sequence=True,
        transparent=first.transparent,
        pictures=tuple(paths),
        assumed=tuple(notes),
    )


def pictures(source: Source, first: int) -> Iterator[tuple[int, int, UInt8[np.ndarray, "h w 3"]]]:
    """Time in the source's time base, duration, and upright RGB pixels, from the picture with index `first` on.

    Raises MediaError for one of another size, and for a damaged one unless `source.on_damage` says otherwise.
    """
    if source.codec == "webp" and source.path.is_file():
        yield from ((each.pts, each.duration, each.image) for each in isolated.animation(source, KINDS))
        return
    damage, good = Damage(), None
    for index, coming in enumerate(_read_ahead(source, first), first):
        pixels = _checked(coming, source.pictures[index], source, damage)
        if pixels is None and good is not None and source.on_damage is OnDamage.REPEAT:
            pixels, damage.repeated = good, damage.repeated + 1
        source.damage.found(damage)
        if pixels is not None:
            good = pixels
            yield index, 1, pixels


def _read_ahead(source: Source, first: int) -> Iterator[Future[Image]]:
    """The pictures from index `first` on; while one is used the next is decoded, by another process."""
    with ThreadPoolExecutor(1) as reader:
        coming = deque[Future[Image]]()
        for path in source.pictures[first:]:
            coming.append(reader.submit(isolated.still, path, KINDS, alpha=source.alpha))
            if len(coming) > AHEAD:
                yield coming.popleft()
        yield from coming


def has_alpha(source: Source) -> bool:
    """Whether any frame may be transparent: `source.transparent`, which of a folder of pictures tells of the first.

    It looks at the others in turn, some 10 ms each.
    """
    return source.transparent or any(map(_is_transparent, source.pictures[1:]))


def _is_transparent(path: Path) -> bool:
    try:
        return isolated.facts(path, KINDS).transparent
    except MediaError:  # a damaged picture is told of when it is read, and may be passed over
        return False


def _checked(coming: Future[Image], path: Path, source: Source, damage: Damage) -> Image | None:
    """A picture of the source's size; None for a damaged one, which is counted, where that may be."""
    try:
        pixels = coming.result()
    except MediaError as fault:
        if source.on_damage is OnDamage.FAIL:
            raise MediaError(f"{fault}; mend it, or say --on-damage repeat to fill its place") from fault
        damage.missing += 1
        return None
    if pixels.shape[:2] != source.size:
        was, now = (f"{columns}x{rows}" for rows, columns in (source.size, pixels.shape[:2]))
        raise MediaError(f"the pictures differ in size: the first is {was} and this one {now}: {path}")
    return pixels


def _inside(path: Path) -> list[Path]:
    if not path.exists():
        raise MediaError(f"there is no such file: {path}")
    if not path.is_dir():
        return [path]
    found = [file for file in path.iterdir() if file.suffix.lower() in EXTENSIONS and file.is_file()]
    if not found:
        raise MediaError(f"the folder holds no pictures (png, jpg, webp): {path}")
    return sorted(found, key=in_order)


def in_order(file: Path) -> tuple[list[str], list[int]]:
    """What files are sorted by, so that frame2 comes before frame10."""
    return re.split(r"\d+", file.name), [int(number) for number in re.findall(r"\d+", file.name)]


def _gaps(paths: list[Path]) -> Iterator[str]:
    """A note where pictures are numbered one by one, and some numbers are missing."""
    texts, numbers = zip(*map(in_order, paths), strict=True)
    counted = [place for place in zip(*numbers, strict=False) if len(set(place)) > 1]
    if len(counted) != 1 or any(text != texts[0] for text in texts):
        return
    missing = [number + 1 for number, after in pairwise(counted[0]) if after > number + 1]
    if missing and len(missing) < len(paths) - 1:  # else every second one, say, is there
        lost = counted[0][-1] - counted[0][0] + 1 - len(paths)
        yield f"the pictures' numbers leave out {lost}, the first {missing[0]}; what follows a gap is the next frame"


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


def _parsed(text: str, path: Path) -> Fraction:
    try:
        fps = Fraction(text)
        if fps > 0:
            return fps
    except (ValueError, ZeroDivisionError):
        pass
    raise MediaError(f"the picture's frame rate is damaged, {text[:20]!r}; rename or rewrite it: {path}")


def _animation(path: Path, found: PictureFacts) -> Source:
    durations, count = found.durations, len(found.durations)
    return Source(
        path=path,
        size=found.size,
        fps=Fraction(1000 * count, sum(durations)).limit_denominator(1001),
        time_base=Fraction(1, 1000),
        codec="webp",
        pixel_format="rgb",
        container="webp",
        num_frames=count,
        seconds=Fraction(sum(durations), 1000),
        constant=max(durations) - min(durations) <= 1,
        is_sequence=True,
        transparent=found.transparent,
        assumed=(TRANSPARENT,) * found.transparent,
    )
