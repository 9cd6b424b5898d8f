"""Where output goes: a hidden temporary name beside the target, which becomes the target when all has gone well."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recast.errors import RequestError
from recast.files import PART, disk_told, is_full, put, sync, sync_all, whole_file
from recast.video.pictures import EXTENSIONS, NUMBER, RECORD_NAME, numbered_as


def is_folder(target: Path) -> bool:
    """Whether `target` asks for a folder of pictures: a folder, a pattern (%05d.png), or a name without an ending."""
    return not target.suffix or target.is_dir() or NUMBER.search(target.name) is not None


@contextmanager
def new_file(target: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary path that becomes `target`; gone if anything is raised. Raises RequestError for one that exists."""
    if target.exists() and not overwrite:
        raise RequestError(f"this file exists already; give another name, or allow to overwrite it: {target}")
    with disk_told(target), whole_file(target, _beside(target)) as place:
        with _creatable(target):
            place.touch(exist_ok=False)
        yield place


@contextmanager
def new_folder(folder: Path, pattern: str, overwrite: bool) -> Iterator[Path]:
    """A temporary folder whose pictures end up in `folder`; gone if anything is raised.

    With `overwrite`, pictures already there that are named like `pattern` give way, also those beyond the last new one.
    """
    if not pattern.lower().endswith(".png"):
        raise RequestError(f"pictures are written as PNG; end the pattern in .png: {folder / pattern}")
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"this is a file, and pictures need a folder: {folder}")
    old = [file for file in folder.iterdir() if _gives_way(file, pattern)] if folder.exists() else []
    if old and not overwrite:
        raise RequestError(
            f"the folder holds such pictures already; give another, or allow to overwrite them: {folder}"
        )
    place = _beside(folder)
    with disk_told(folder), _gone(place):
        with _creatable(folder):
            place.mkdir()
        yield place
        if not folder.exists():
            put(place, folder)
            return
        # The folder may hold other things than these pictures, so it cannot be replaced as a whole.
        sync_all(place)
        for file in old:
            file.unlink()
        for file in place.iterdir():
            file.replace(folder / file.name)
        sync(folder)


@contextmanager
def _gone(place: Path) -> Iterator[None]:
    try:
        yield
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _gives_way(file: Path, pattern: str) -> bool:
    return file.name == RECORD_NAME or (
        file.suffix.lower() in EXTENSIONS and numbered_as(pattern).fullmatch(file.name) is not None
    )


@contextmanager
def _creatable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise
        raise RequestError(f"nothing can be written there ({error.strerror}): {target}") from error


def _beside(target: Path) -> Path:
    # Hidden, and of a name that no other edit has: many may write into one folder at a time.
    return target.absolute().parent / f".recast-{secrets.token_hex(6)}{PART}"
