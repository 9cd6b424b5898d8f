"""Atomic folders: written aside, hashed, put in place by one rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from recast.files import put, whole_file, write_synced

MANIFEST = "MANIFEST.json"


def digests(folder: Path, part: int = 0, parts: int = 1) -> dict[str, dict]:
    """Hash and size of every file of the folder; of every `parts`-th from `part` on where several processes share them.

    What is read is on its disk before it counts.
    """
    return {_name(folder, file): _digest(file) for file in _files(folder)[part::parts]}


def commit(part: Path, final: Path, digests: Mapping[str, dict]) -> None:
    """Puts the finished folder `part` in the place of `final`, with a manifest of its files. Raises OSError."""
    write_synced(part / MANIFEST, _listed(digests))
    if final.exists():
        set_aside(final)
    put(part, final)


def point(pointer: Path, name: str) -> None:
    """Lets the file `pointer` say `name`, at once."""
    with whole_file(pointer) as part:
        part.write_text(name + "\n")


def fault(folder: Path, part: int = 0, parts: int = 1) -> str | None:
    """What is wrong with a committed folder, or None; each of several processes may check every `parts`-th file."""
    try:
        text = (folder / MANIFEST).read_text()
        listed = json.loads(text)
        if text != _listed(listed):
            return f"{MANIFEST} was changed"
        found = {_name(folder, file) for file in _files(folder)}
        if found != listed.keys():
            return f"{min(found ^ listed.keys())} is {'missing' if listed.keys() - found else 'not in its manifest'}"
        given = digests(folder, part, parts)
        return next((f"{name} was changed" for name, digest in given.items() if digest != listed[name]), None)
    except (OSError, ValueError, AttributeError) as error:
        return f"{MANIFEST} cannot be read ({type(error).__name__})"


def set_aside(folder: Path) -> None:
    """Keeps a damaged folder out of the way under another name."""
    aside = folder.with_name(folder.name + ".damaged")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)


def _listed(digests: Mapping[str, dict]) -> str:
    return json.dumps(digests, indent=1, sort_keys=True) + "\n"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _digest(file: Path) -> dict:
    with file.open("rb") as stream:
        return {"bytes": os.fstat(stream.fileno()).st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
