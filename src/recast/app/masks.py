"""Masks that are painted on one frame and followed through the clip, by `recast mask` in a process of its own."""

from hashlib import sha256
from pathlib import Path

from recast.app.files import UserFile, UserFiles
from recast.app.making import Making, commanded
from recast.errors import RecastError, RequestError

MOST_FRAMES = 2000
"""Of a clip that a mask is followed through: all of them are held at 240 px."""
NAME = "mask.mkv"


def followed(files: UserFiles, making: Making, clip: str, *, still: str, frame: int, grow: int) -> UserFile | None:
    """The mask of a clip from a still that was painted on one of its frames; None while it is being made.

    The same wish has the same mask, which is made once. Raises RequestError for files that are not there and clips of
    more than MOST_FRAMES, and once what the following raised.
    """
    count = files.facts(clip).frames or 0
    if count > MOST_FRAMES:
        raise RequestError(f"the clip has {count} frames, and a mask is followed through {MOST_FRAMES} at most; cut it")
    source, painted = files.path(clip), files.path(still)
    number = sha256(f"{clip} {still} {frame} {grow}".encode()).hexdigest()[:32]

    def make() -> None:
        def write(part: Path) -> None:
            made = part.with_suffix(".mkv")
            settings = ["--still", str(painted), "--frame", str(frame), "--grow", str(grow), "-q"]
            try:
                commanded("mask", str(source), "-o", str(made), *settings)
            except RecastError as error:
                raise type(error)(str(error).replace(f"{files.folder}/", "")) from None
            made.rename(part)

        files.make(number, NAME, write)

    return files.facts(number) if making.is_made(files.folder / number, make) else None
