"""Sources of curation: finds videos, pictures, sequences of numbered frames and procedural worlds, in order."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from recast.errors import RequestError
from recast.video.sequence import EXTENSIONS

VIDEOS = frozenset(
    [
        ".3g2",
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mj2",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    ]
)
"""File extensions taken for videos in a folder; a file given by name is tried whatever its extension."""
MASKS = "masks"
WORLDS = re.compile(r"world:([1-9]\d*)(?:@(\d+))?")


class SourceKind(StrEnum):
    """Kind of a material."""

    VIDEO = "video"
    SEQUENCE = "sequence"
    IMAGE = "image"
    WORLD = "world"


@dataclass(frozen=True)
class Material:
    """One source of clips. name: its path as given, or world:SEED. stamp: changes when the file does."""

    matter: SourceKind
    name: str
    stamp: str = ""

    @property
    def path(self) -> Path:
        """Its path; a world has none."""
        assert self.matter is not SourceKind.WORLD
        return Path(self.name)

    @property
    def seed(self) -> int:
        """The seed of a world."""
        return int(self.name.removeprefix("world:"))


@dataclass(frozen=True)
class Found:
    """All materials in order. passed_over: files that were skipped, with the reason."""

    materials: tuple[Material, ...]
    passed_over: tuple[tuple[str, str], ...] = ()

    def count(self, matter: SourceKind) -> int:
        """How many there are of a kind."""
        return sum(material.matter is matter for material in self.materials)


def found(sources: list[str], folders: str, frames: int) -> Found:
    """Materials of sources as the user gave them: files, folders (recursively), and world:N or world:N@SEED.

    folders: auto, clip or images, as in `Settings`; frames: the least number that makes a sequence.
    Raises RequestError for a missing source, and where nothing was found.
    """
    materials: dict[str, Material] = {}
    passed_over: list[tuple[str, str]] = []
    for text in sources:
        for each in _of(text, folders, frames, passed_over):
            place = each.name if each.matter is SourceKind.WORLD else str(each.path.resolve())
            materials.setdefault(place, each)
    if not materials:
        raise RequestError(f"there is no video and no picture in {', '.join(sources)}")
    return Found(tuple(materials.values()), tuple(passed_over))


def _of(text: str, folders: str, frames: int, passed_over: list[tuple[str, str]]) -> Iterator[Material]:
    worlds = WORLDS.fullmatch(text)
    if worlds:
        first = int(worlds[2] or 0)
        yield from (Material(SourceKind.WORLD, f"world:{first + i}") for i in range(int(worlds[1])))
        return
    if text.startswith("world:"):
        raise RequestError(f"{text!r} names no worlds; write world:N, or world:N@SEED to begin at another seed")
    path = Path(text)
    if not path.exists():
        raise RequestError(f"there is no such file or folder: {text}")
    if path.is_file():
        yield _file(path, SourceKind.IMAGE if path.suffix.lower() in EXTENSIONS else SourceKind.VIDEO)
        return
    for place, names, files in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        if MASKS in names and "images" in names:
            names.remove(MASKS)
            passed_over.append((f"{Path(place) / MASKS}", "masks of the images beside them"))
        yield from _in_folder(Path(place), sorted(files), folders, frames)


def _in_folder(place: Path, names: list[str], folders: str, frames: int) -> Iterator[Material]:
    files = [place / name for name in names if not name.startswith(".")]
    pictures = [file for file in files if file.suffix.lower() in EXTENSIONS]
    whole = {"auto": len(pictures) >= frames and _contiguous(pictures), "clip": len(pictures) > 1, "images": False}
    if whole[folders]:
        yield Material(SourceKind.SEQUENCE, str(place), _stamp(*pictures))
    for file in files:
        if file.suffix.lower() in VIDEOS:
            yield _file(file, SourceKind.VIDEO)
        elif file in pictures and not whole[folders]:
            yield _file(file, SourceKind.IMAGE)


def _contiguous(pictures: list[Path]) -> bool:
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", picture.name) for picture in pictures]
    if not all(parts):
        return False
    numbers = sorted(int(part[2]) for part in parts if part)
    alike = len({(part[1], part[3]) for part in parts if part}) == 1
    return alike and all(following - number == 1 for number, following in pairwise(numbers))


def _file(path: Path, matter: SourceKind) -> Material:
    return Material(matter, str(path), _stamp(path))


def _stamp(*paths: Path) -> str:
    stats = [path.stat() for path in paths]
    return f"{sum(stat.st_size for stat in stats)}-{max(stat.st_mtime_ns for stat in stats)}"
