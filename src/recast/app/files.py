"""Files that clients send: kept under names that nobody guesses, after a look at what they are."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_hex
from string import hexdigits

from recast.errors import MediaError, RequestError, WriteError
from recast.files import disk_told, whole_folder, write_synced

FACTS = "file.json"
CHUNK_SECONDS = 30
"""The longest that a sender may say nothing."""
LEAST_FREE_BYTES = 2 * 2**30
"""Room that uploads leave on the disk."""
MOST_NAME = 255
PICTURES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
"""Formats of pictures that are taken, by Pillow's names."""


class TooLargeError(RequestError):
    """A body is larger than this server takes."""


@dataclass(frozen=True)
class UserFile:
    """A file as it is told of. name: as the client called it, for people only. kind: video or picture.

    fps, seconds: of a video, as far as its header says. container: what FFmpeg calls its kind of file.
    """

    id: str
    name: str
    kind: str
    size: int
    width: int
    height: int
    frames: int | None = None
    fps: float | None = None
    seconds: float | None = None
    container: str = ""


@dataclass(frozen=True)
class UserFiles:
    """The uploads in a folder, each in one of its own."""

    folder: Path
    most_bytes: int

    async def add(self, name: str, body: AsyncIterator[bytes]) -> UserFile:
        """Takes a file. Raises MediaError for one that is no video or picture, TooLargeError, or RequestError."""
        if not 0 < len(name) <= MOST_NAME or not name.isprintable():
            raise RequestError(f"a file's name has 1 to {MOST_NAME} characters that can be printed")
        place = self.folder / token_hex(16)
        with disk_told(place):
            place.mkdir(parents=True, mode=0o700)
            try:
                size = await self._received(place / "part", body)
                return await asyncio.to_thread(_kept, place, name, size)
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise

    def make(self, number: str, name: str, write: Callable[[Path], object]) -> None:
        """Adds a file that this server makes itself, whole or not at all. write: makes it at the path it is given."""
        target = self._place(number)
        with disk_told(target), whole_folder(target, self.folder / f".{number}") as place:
            write(place / "part")
            _kept(place, name, (place / "part").stat().st_size, number)

    def path(self, number: str) -> Path:
        """The file of that name. Raises RequestError where there is none, whatever the name may look like."""
        place = self._place(number)
        found = [path for path in place.iterdir() if path.name.startswith("content.")] if place.is_dir() else []
        if not found:
            raise RequestError("there is no such file; send it first")
        return found[0]

    def facts(self, number: str) -> UserFile:
        """What is known of a file. Raises RequestError where there is none."""
        return UserFile(**json.loads(self.path(number).with_name(FACTS).read_text("utf-8")))

    def remove(self, number: str) -> None:
        """Deletes a file. Raises RequestError where there is none."""
        shutil.rmtree(self.path(number).parent)

    def _place(self, number: str) -> Path:
        if len(number) != 32 or not set(number) <= set(hexdigits.lower()):
            raise RequestError("there is no such file; send it first")
        return self.folder / number

    async def _received(self, part: Path, body: AsyncIterator[bytes]) -> int:
        size = 0
        with part.open("xb") as file:
            while True:
                try:
                    async with asyncio.timeout(CHUNK_SECONDS):
                        block = await anext(body, b"")
                except TimeoutError:
                    raise RequestError(f"nothing came for {CHUNK_SECONDS} seconds; send the file again") from None
                if not block:
                    break
                size += len(block)
                if size > self.most_bytes:
                    raise TooLargeError(f"a file has at most {self.most_bytes} bytes here; send a shorter clip")
                if shutil.disk_usage(part.parent).free < LEAST_FREE_BYTES:
                    raise WriteError("the server's disk is full; nothing of the file was kept")
                file.write(block)
        if not size:
            raise MediaError("the file is empty")
        return size


def _kept(place: Path, name: str, size: int, number: str = "") -> UserFile:
    """Looks at what has come, in place/part, and gives it a name by what it is. number: the folder's, if not said."""
    part, number = place / "part", number or place.name
    held = _picture(part, number, name, size) or _video(part, number, name, size)
    facts, ending = held
    part.rename(place / f"content{ending}")
    write_synced(place / FACTS, json.dumps(asdict(facts)))
    return facts


def _picture(part: Path, number: str, name: str, size: int) -> tuple[UserFile, str] | None:
    from recast.video.isolated_pictures import facts

    try:
        found = facts(part, tuple(PICTURES))
    except MediaError:
        return None
    height, width = found.size
    return UserFile(number, name, "picture", size, width, height), PICTURES[found.kind.upper()]


def _video(part: Path, number: str, name: str, size: int) -> tuple[UserFile, str]:
    # Not by `recast.video.read`, which imports torch.
    from recast.video.isolated import probe
    from recast.video.source import OnDamage

    try:
        source = probe(part, OnDamage.FAIL)
    except MediaError as error:
        raise MediaError(str(error).replace(str(part), name)) from None
    height, width = source.size
    ending = ".gif" if source.container == "gif" else ".video"
    facts = UserFile(number, name, "video", size, width, height, source.num_frames or None, float(source.fps))
    seconds = None if source.seconds is None else float(source.seconds)
    return replace(facts, seconds=seconds, container=source.container), ending
