"""Files and folders that are there whole or not at all, and one run at a time in a folder."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from recast.errors import RecastError, RequestError, WriteError

LOCK = ".lock"
PART = ".part"
JOB = ".job"
ABOUT = "about.txt"
_ABOUT = """recast makes {name} here. While it is at work, leave this folder alone. If it was killed, the same command
goes on or begins anew, and removes the folder when it is done; to give that up, delete the folder.
"""
_LONGEST_NAME = 255
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""No space, a quota used up, a file over the system's limit, and a disk that takes no writes at all."""
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_SHORT = re.compile(r"\d+ requested and \d+ written")


def part_of(target: Path) -> Path:
    """Where a file or folder is made before it gets its name: beside it, so that a rename puts it in place."""
    return target.with_name(target.name + PART)


@contextmanager
def whole_file(target: Path, part: Path | None = None) -> Iterator[Path]:
    """A path to write to, which becomes `target` when the block ends well; gone if anything is raised.

    part: the path, None for `part_of`. What stood at `target` stays there until then. Raises OSError.
    """
    part = part_of(target) if part is None else part
    try:
        yield part
        put(part, target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path, part: Path | None = None) -> Iterator[Path]:
    """A new, empty folder to fill, which becomes `target` when the block ends well; gone if anything is raised.

    part: its path meanwhile, None for `part_of`. A folder at `target` stays there until then, and gives way.
    Raises OSError.
    """
    part = part_of(target) if part is None else part
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        put(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def hidden_part(target: Path) -> Path:
    """A hidden place beside `target` that no other run has: many may write into one folder at a time."""
    return target.absolute().parent / f".recast-{secrets.token_hex(6)}{PART}"


def put_new(part: Path, target: Path) -> None:
    """`put`, where nothing may be at `target`, also where it came there a moment ago.

    Raises FileExistsError, and leaves both as they are, for a file, and for a folder that is not empty.
    """
    sync_all(part)
    rename_new(part, target)
    sync(target.parent)


def rename_new(part: Path, target: Path) -> None:
    """Renames, where nothing may be at `target`. Raises FileExistsError as `put_new`."""
    if part.is_dir():
        _rename_new_folder(part, target)
    else:
        _rename_new_file(part, target)


def _rename_new_folder(part: Path, target: Path) -> None:
    try:
        part.rename(target)
    except OSError as error:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        raise


def _rename_new_file(part: Path, target: Path) -> None:
    # Renaming replaces what is there; making a second name does not, and is one step.
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system whose files have one name each
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.rename(target)
    else:
        part.unlink()


def put(part: Path, target: Path) -> None:
    """Gives the finished file or folder `part` the name `target` at once, all of it on the disk first. Raises OSError.

    A power cut leaves what was there before or what is there after; of a folder that gives way, perhaps neither under
    this name, but the old one under NAME.old.
    """
    sync_all(part)
    if part.is_dir() and target.is_dir():
        _exchange(part, target)
    else:
        part.replace(target)
    sync(target.parent)


def _exchange(part: Path, target: Path) -> None:
    # No system call of Python's renames a folder over one that holds something.
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    try:
        part.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_synced(path: Path, text: str) -> None:
    """Writes a file to its disk, not only to memory. Raises OSError."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_all(path: Path) -> None:
    """`sync` of a file, or of a folder and all that is in it."""
    for inner in path.rglob("*") if path.is_dir() else ():
        if inner.is_dir() or inner.is_file():
            sync(inner)
    sync(path)


def sync(path: Path) -> None:
    """Waits until a file's bytes, or a folder's list of names, are on the disk itself. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_told(target: Path) -> Iterator[None]:
    """Raises WriteError in place of whatever is raised because the disk of `target` takes no more."""
    try:
        yield
    except RecastError:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        raise unwritten(target, error) from error


def is_full(error: BaseException) -> bool:
    """Whether the disk took no more: by the number that Python and PyAV keep, or in the words of safetensors and numpy.

    numpy has no number for an array that was written in part.
    """
    found = _OS_ERROR.search(str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    return number in _FULL or (isinstance(error, OSError) and _SHORT.search(str(error)) is not None)


def unwritten(target: Path, error: BaseException) -> WriteError:
    """What to say where the disk took no more: why, how much is free there, and what to do."""
    place = next((folder for folder in (target, *target.absolute().parents) if folder.is_dir()), Path())
    free = shutil.disk_usage(place).free / 2**30
    why = getattr(error, "strerror", None) or str(error)
    return WriteError(
        f"the disk does not take {target} ({why}), with {free:.2f} GiB free there; nothing half-written is left: "
        "make room, or give a place on another disk"
    )


@contextmanager
def run_lock(folder: Path, otherwise: str = "wait for it, or name another folder") -> Iterator[None]:
    """Holds a folder for this process; the system lets go of it when the process ends, however it ends.

    Raises RequestError where another holds it. otherwise: what to do then.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RequestError(f"another run is at work there; {otherwise}: {folder}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def workplace(target: Path, keeps: Callable[[Path], bool] = lambda _folder: False) -> Iterator[Path]:
    """The folder TARGET.job, in which `target` is made by this process alone; gone when the block ends.

    keeps: whether its folder stays after an error, for what is in it. A kill leaves it, with a file that says what it
    is. Raises RequestError where another run holds it, it is not recast's, or nothing can be written there; WriteError
    for a full disk.
    """
    folder = job_folder(target)
    with disk_told(target):
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            if is_full(error):
                raise
            raise RequestError(f"nothing can be written there ({error.strerror}): {target}") from error
        held = {each.name for each in folder.iterdir()}
        if held and not held & {LOCK, ABOUT}:
            raise RequestError(f"{folder} is not recast's, which would work there; move it, or name another target")
        with run_lock(folder):
            if not (folder / LOCK).exists():  # the run that held it has just removed it
                raise RequestError(f"another run was at work there a moment ago; try again: {folder}")
            ended = False
            try:
                (folder / ABOUT).write_text(_ABOUT.format(name=target.name), "utf-8", errors="replace")
                yield folder
                ended = True
            finally:
                if ended or not keeps(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def job_folder(target: Path) -> Path:
    """Where `workplace` is; its name is shortened where TARGET.job is more than a file system takes."""
    name = target.name.encode()[: _LONGEST_NAME - len(JOB)].decode(errors="ignore")
    return target.absolute().with_name(name + JOB)
