"""Which files a record may name: it comes from a file, perhaps a stranger's, and is data, not the user's request."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from recast.editing.request import ALSO_CALLED, Request
from recast.editing.schedules import files_in
from recast.editing.values import ALPHA
from recast.errors import RequestError
from recast.model.folder import MODELS
from recast.model.specs import SPECS
from recast.video.sequence import NUMBER

MOST_FILES = 100_000
"""Files in a folder that a record names; more are not looked through unasked."""


@dataclass(frozen=True)
class Named:
    """A file or folder that a record names, and the setting that it is the value of."""

    setting: str
    path: Path


def named_by(request: Request, changes: Collection[str]) -> list[Named]:
    """What a record's request would have read, but for the settings that the user gave anew."""
    weighted = [Named("pictures", Path(path)) for path, _ in request.pictures]
    weighted += [Named("adapters", Path(path)) for path, _ in request.adapters]
    weighted += [Named("structure_from", path) for path in request.structure_from.values()]
    weighted += [Named("schedules", Path(path)) for path in files_in(request.schedules)]
    mask = None if request.mask == ALPHA else request.mask
    single = {"source": request.source, "mask": mask, "flow": request.flow, "storyboard": request.storyboard}
    single |= {"layout": request.layout, "strokes": request.strokes}
    found = [Named(setting, path) for setting, path in single.items() if path is not None] + weighted
    if request.model not in {*MODELS, *SPECS}:
        found.append(Named("model", Path(request.model)))
    if request.clip_pair is not None and request.clip_pair not in {*MODELS, *SPECS}:
        found.append(Named("clip_pair", Path(request.clip_pair)))
    given = {ALSO_CALLED.get(name, name) for name in changes}
    return [each for each in found if each.setting not in given]


def check_allowed(named: Sequence[Named], made: Path, *, trust: bool) -> None:
    """Raises RequestError where what the record of the file `made` names may not, or can not, be read."""
    if not trust:
        check_trusted(named, made)
    check_readable(named)


def check_trusted(named: Iterable[Named], made: Path) -> None:
    """Raises RequestError where something lies neither beside the file `made` nor in the current folder.

    Nothing of a path is looked at before its text alone says that it is inside; then links are followed.
    """
    roots = [made.absolute().parent, Path.cwd()]
    outside = [each for each in named if not _is_inside(each.path, roots)]
    if outside:
        listed = ", ".join(f"{each.setting} {each.path}" for each in outside)
        raise RequestError(
            f"the record names what lies outside this folder, and none of it was read: {listed}; allow it with "
            f"--trust, or give your own with --set {outside[0].setting}=FILE"
        )


def check_readable(named: Iterable[Named]) -> None:
    """Raises RequestError for what is not here, is no regular file or folder, or is too large to look through."""
    for each in named:
        path = each.path
        is_pattern = NUMBER.search(path.name) is not None and path.parent.is_dir()
        if not (path.exists() or is_pattern):
            raise RequestError(
                f"{path} is not here; run this where it was made, or give it with --set {each.setting}=FILE"
            )
        if not (path.is_file() or path.is_dir() or is_pattern):
            raise RequestError(f"{path} is no regular file and no folder; give another with --set {each.setting}=FILE")
        if path.is_dir() and len(list(islice(path.rglob("*"), MOST_FILES + 1))) > MOST_FILES:
            raise RequestError(f"{path} holds more than {MOST_FILES} files; give it with --set {each.setting}=FOLDER")


def _is_inside(path: Path, roots: list[Path]) -> bool:
    plain = Path(os.path.abspath(path))
    if not any(_is_below(plain, root) for root in roots):
        return False
    real = [root.resolve() for root in roots]
    held = islice(path.rglob("*"), MOST_FILES) if path.is_dir() else ()
    links = [each for each in held if each.is_symlink()]
    return all(any(_is_below(each.resolve(), root) for root in real) for each in (path, *links))


def _is_below(path: Path, root: Path) -> bool:
    # What is hidden below a folder, such as ~/.ssh, is not what anybody makes videos of.
    return path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)
