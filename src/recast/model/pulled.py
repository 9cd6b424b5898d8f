"""Models of the table on this disk: what a pull would bring, the pull itself, and whether files are what they were.

Files lie in the cache of huggingface_hub, by HF_HOME, and model folders link to them. HF_HUB_OFFLINE is honoured: then
a folder is made of what the cache holds. Nothing is fetched but by `pull`.
"""

import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recast.errors import WeightsError
from recast.files import disk_told, whole_folder
from recast.model.spec_parts import ModelSpec, SpecFile, SpecPart

PULLED = "pulled.json"
"""In a folder that a pull made: where each file came from, its size and its SHA-256."""


@dataclass(frozen=True)
class PlannedFile:
    """A file that a pull brings. size: in bytes. sha256: as the hub has it; None for small files, which it has not."""

    target: str
    repo: str
    name: str
    revision: str
    size: int
    sha256: str | None


def models_home() -> Path:
    """Where folders of pulled models are: RECAST_HOME, or recast in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("RECAST_HOME") or cache / "recast") / "models"


def folder_of(name: str) -> Path:
    """Where the folder of a model of the table is, or would be."""
    return models_home() / name


def planned(spec: ModelSpec) -> list[PlannedFile]:
    """What a pull of the model would bring, from repositories that answer; only facts are asked for, no weights.

    Raises WeightsError where all repositories of a part are gone, need an account's consent or lack a file, and where
    the network is off or away and the cache lacks something.
    """
    return [file for part in spec.parts for file in _planned_part(part)]


def pull(name: str, spec: ModelSpec, files: list[PlannedFile], watch: Callable[[PlannedFile], None]) -> Path:
    """Brings the files and makes the model's folder, all of it or nothing; called before each file.

    Raises WeightsError where a file does not come, or is not what the hub said, WriteError for a full disk.
    """
    from huggingface_hub import hf_hub_download

    target, held = folder_of(name), []
    target.parent.mkdir(parents=True, exist_ok=True)
    with disk_told(target), whole_folder(target) as folder:
        for file in files:
            watch(file)
            with _hub_told(file.repo):
                fetched = Path(hf_hub_download(file.repo, file.name, revision=file.revision))
            found = sha256_of(fetched)
            if file.sha256 not in (None, found):
                wrong = f"{file.name} of {file.repo} came with SHA-256 {found[:12]}... and the hub has {file.sha256}"
                raise WeightsError(f"{wrong}; delete it from the cache and pull again; {fetched}")
            link = folder / file.target
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(fetched.resolve())
            held.append(asdict(file) | {"sha256": found})
        for path, content in _written(spec).items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        (folder / PULLED).write_text(json.dumps(held, indent=1) + "\n", "utf-8")
    return target


def changed_files(folder: Path) -> list[str]:
    """The files of a pulled folder that are gone or are not what came. Raises WeightsError for another folder."""
    if not (folder / PULLED).is_file():
        raise WeightsError(f"{folder} was not made by `recast models pull`: it has no {PULLED}, so nothing to compare")
    wrong = []
    for file in _entries(folder / PULLED):
        path = folder / file["target"]
        if not path.is_file():
            wrong.append(f"{file['target']} is gone")
        elif sha256_of(path) != file["sha256"]:
            wrong.append(f"{file['target']} has changed")
    return wrong


def is_pulled(name: str) -> bool:
    """Whether the folder of a model of the table is on this disk."""
    return (folder_of(name) / PULLED).is_file()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        return [
            entry | {key: entry[key] for key in ("target", "sha256")} for entry in json.loads(path.read_text("utf-8"))
        ]
    except (KeyError, TypeError, ValueError) as fault:
        raise WeightsError(f"{path.name} is damaged ({fault}); pull the model again; {path}") from fault


def _written(spec: ModelSpec) -> dict[str, dict[str, Any]]:
    fixed = {"model_index.json": {"_class_name": spec.pipeline} | spec.index, "recast.json": spec.metadata}
    return fixed | spec.written


def _planned_part(part: SpecPart) -> Iterator[PlannedFile]:
    reasons = []
    for repo in part.repos:
        try:
            return iter(_planned_repo(repo, part))
        except WeightsError as error:
            reasons.append(str(error))
    raise WeightsError("; ".join(reasons))


def _planned_repo(repo: str, part: SpecPart) -> list[PlannedFile]:
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return [held for file in part.files for held in _cached(repo, file)]
    with _hub_told(repo):
        info = HfApi().model_info(repo, revision=part.revision, files_metadata=True)
    there = {sibling.rfilename: sibling for sibling in info.siblings or []}
    found = []
    for file in part.files:
        names = _chosen(file, there)
        if not names:
            raise WeightsError(f"{repo} has no {' or '.join(file.names)}")
        for name in names:
            facts = there[name]
            sha256 = facts.lfs.sha256 if facts.lfs else None
            found.append(PlannedFile(_target(file, name), repo, name, str(info.sha), facts.size or 0, sha256))
    return found


def _chosen(file: SpecFile, there: Iterable[str]) -> list[str]:
    """All files of the first of its names, which may be a pattern, that is there."""
    matched = (sorted(fnmatch.filter(there, name)) for name in file.names)
    return next((names for names in matched if names), [])


def _cached(repo: str, file: SpecFile) -> list[PlannedFile]:
    """The files of a repository that the cache holds, of its newest revision that has them."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    snapshots = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=repo, repo_type="model") / "snapshots"
    for revision in sorted(snapshots.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True):
        there = {path.relative_to(revision).as_posix(): path for path in revision.rglob("*") if path.is_file()}
        names = _chosen(file, there)
        if names:
            return [
                PlannedFile(_target(file, name), repo, name, revision.name, there[name].stat().st_size, None)
                for name in names
            ]
    wrong = f"HF_HUB_OFFLINE is set, and the cache has no {file.names[0]} of {repo}"
    raise WeightsError(f"{wrong}; unset it to pull")


def _target(file: SpecFile, name: str) -> str:
    return f"{file.into}/{file.rename or name.rpartition('/')[2]}"


@contextmanager
def _hub_told(repo: str) -> Iterator[None]:
    from huggingface_hub import errors

    away = (errors.HfHubHTTPError, errors.HTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)

    try:
        yield
    except errors.GatedRepoError as fault:
        raise WeightsError(f"{repo} asks for consent: give it on its page, and say `hf auth login`") from fault
    except errors.RepositoryNotFoundError as fault:
        raise WeightsError(f"{repo} is gone from the hub, or private") from fault
    except away as fault:
        raise WeightsError(f"{repo} cannot be reached ({type(fault).__name__}); is there a network?") from fault
