"""Where output goes: a workplace beside the target, out of which it gets its name when all has gone well."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from recast.errors import RequestError
from recast.files import ABOUT, LOCK, PART, disk_told, put, put_new, rename_new, sync, sync_all, workplace
from recast.video.sequence import EXTENSIONS, NUMBER, RECORD_NAME, numbered_as


def is_folder(target: Path) -> bool:
    """Whether `target` asks for a folder of pictures: a folder, a pattern (%05d.png), or a name without an ending."""
    return not target.suffix or target.is_dir() or NUMBER.search(target.name) is not None


def check_free(target: Path, overwrite: bool) -> None:
    """Raises RequestError where a file may not be written: there is one and not `overwrite`, or it is no plain file."""
    if target.exists() and not target.is_file():
        raise RequestError(f"this is no regular file, and is not replaced; give another name: {target}")
    if os.path.lexists(target) and not overwrite:
        raise RequestError(f"this file exists already; give another name, or allow to overwrite it: {target}")


@contextmanager
def new_file(target: Path, overwrite: bool, inside: Path | None = None) -> Iterator[Path]:
    """A path to write to, which becomes `target` when the block ends well; gone if anything is raised.

    inside: the workplace of a run that has one. Raises RequestError for a target that `check_free` refuses, and for one
    that came there meanwhile and may not be overwritten: then the finished file stays in the workplace.
    """
    check_free(target, overwrite)
    with disk_told(target), _workplace(target, inside) as folder:
        part, made = folder / (target.name[:200] + PART), folder / target.name
        with _gone(part):
            part.unlink(missing_ok=True)
            part.touch()
            yield part
            part.rename(made)
        with _kept_if_taken(target, made):
            check_free(target, overwrite)
            (put if overwrite else put_new)(made, target)


@contextmanager
def new_folder(folder: Path, pattern: str, overwrite: bool, inside: Path | None = None) -> Iterator[Path]:
    """A folder to write to, whose pictures end up in `folder`; gone if anything is raised. inside: as for `new_file`.

    With `overwrite`, pictures already there that are named like `pattern` give way, also those beyond the last new one.
    """
    if not pattern.lower().endswith(".png"):
        raise RequestError(f"pictures are written as PNG; end the pattern in .png: {folder / pattern}")
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"this is a file, and pictures need a folder: {folder}")
    if _giving_way(folder, pattern) and not overwrite:
        raise RequestError(
            f"the folder holds such pictures already; give another, or allow to overwrite them: {folder}"
        )
    with disk_told(folder), _workplace(folder, inside) as place:
        part, made = place / (folder.name[:200] + PART), place / folder.name
        with _gone(part):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            yield part
            shutil.rmtree(made, ignore_errors=True)
            part.rename(made)
        with _kept_if_taken(folder, made):
            if folder.exists():
                _moved_into(folder, made, pattern, overwrite)
            else:
                put_new(made, folder)


def is_made(target: Path, inside: Path) -> bool:
    """Whether a finished result waits in a workplace for its name."""
    return os.path.lexists(inside / target.name)


def _workplace(target: Path, inside: Path | None) -> AbstractContextManager[Path]:
    return _workplace_of_one(target) if inside is None else nullcontext(inside)


@contextmanager
def _workplace_of_one(target: Path) -> Iterator[Path]:
    own = {LOCK, ABOUT, target.name, target.name[:200] + PART}

    def holds_more(folder: Path) -> bool:
        return any(each.name not in own for each in folder.iterdir())

    with workplace(target, lambda folder: is_made(target, folder) or holds_more(folder)) as folder:
        if holds_more(folder):
            raise RequestError(f"{folder} holds an unfinished edit: go on with that, or delete the folder")
        yield folder


def _moved_into(folder: Path, made: Path, pattern: str, overwrite: bool) -> None:
    # The folder may hold other things than these pictures, so it cannot be replaced as a whole.
    sync_all(made)
    for file in _giving_way(folder, pattern):
        if not overwrite:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
        file.unlink()
    for file in made.iterdir():
        (Path.replace if overwrite else rename_new)(file, folder / file.name)
    sync(folder)


def _giving_way(folder: Path, pattern: str) -> list[Path]:
    return [file for file in folder.iterdir() if _gives_way(file, pattern)] if folder.exists() else []


def _gives_way(file: Path, pattern: str) -> bool:
    return file.name == RECORD_NAME or (
        file.suffix.lower() in EXTENSIONS and numbered_as(pattern).fullmatch(file.name) is not None
    )


@contextmanager
def _gone(part: Path) -> Iterator[None]:
    try:
        yield
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


@contextmanager
def _kept_if_taken(target: Path, made: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, RequestError) as error:
        raise RequestError(
            f"something came to {target} while the result was made, and was left alone; the result is {made}"
        ) from error
