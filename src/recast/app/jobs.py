"""Jobs as clients see them: settings in, state and result out; paths of this machine never leave it."""

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from recast.app.abilities import Abilities
from recast.app.files import UserFiles
from recast.app.plain import PlainSettings, showable
from recast.app.unchecked import PATIENCE_SECONDS, Checks, unchecked
from recast.editing.schedules import Schedules, files_in
from recast.errors import RequestError, known
from recast.jobs.stored import JobState, StoredJob

ENDINGS = {"mp4": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska", "webm": "video/webm"}
"""Kinds of results, and what they are served as."""
OWN = (
    *("source", "target", "mask", "image", "pictures", "words", "prompt"),
    *("adapter", "adapters", "clip_pair", "flow", "layout", "model"),
    *("overwrite", "storyboard", "strokes", "structure_from"),
)
"""Settings that say where something lies, or that have a field of their own here."""
WITHOUT_SOURCE = ("fps",)
"""Settings of clips that have no source, which an edit ignores."""
NO_PICTURES = "pictures with a schedule cannot be named here; give words a schedule"
NO_SOUNDS = "a schedule cannot name a sound here; it can follow the clip's own, as sound(loudness, 0..1)"
MOST_TEXT = 2000
FileId = Annotated[str, Field(min_length=32, max_length=32, description="A file that was sent to /files.")]
Text = Annotated[str, Field(max_length=MOST_TEXT)]


class JobRequest(BaseModel):
    """An edit that is asked for."""

    model_config = ConfigDict(extra="forbid")

    source: FileId
    prompt: list[Text] = Field(default=[], max_length=16, description="What it should look like; TEXT:W for a weight.")
    images: list[FileId] = Field(default=[], max_length=16, description="Pictures of what it should look like.")
    mask: FileId | None = None
    model: str = Field(default="pocket", max_length=64)
    format: str = Field(default="mp4", description=", ".join(ENDINGS))
    priority: int = Field(default=0, ge=-100, le=100)
    batch: str = Field(default="", max_length=64, description="A name for jobs that belong together.")
    settings: PlainSettings = Field(
        default={}, max_length=100, description="Any other setting of an edit, or of its method, by its name."
    )


class JobView(BaseModel):
    """A job, and how far it is. progress: 0..1 of the stage, None before there is one.

    source, images, mask: names of files. settings: those that are not as they are by themselves.
    """

    id: str
    state: JobState
    prompt: list[str]
    method: str
    model: str
    stage: str
    progress: float | None
    created: float
    started: float | None
    finished: float | None
    frames: int | None
    notes: list[str]
    error: str
    cancelling: bool
    source: str
    images: list[str]
    mask: str | None
    format: str
    batch: str
    priority: int
    settings: dict[str, Any]

    def matches(self, search: str) -> bool:
        """Whether each word of the search is in the job's words, method, model or state."""
        text = " ".join([*self.prompt, self.method, self.model, self.state]).lower()
        return all(word in text for word in search.lower().split())


@dataclass(frozen=True)
class JobDesk:
    """Makes what is asked for into jobs, under the data folder of a server."""

    data: Path
    files: UserFiles
    abilities: Abilities
    checks: Checks

    def document(self, asked: JobRequest) -> dict[str, Any]:
        """What the queue is given: the request with paths in place of names. Raises RecastError for what cannot be.

        Paths are relative to the data folder, in which workers stand: the record in a result has them.
        """
        folder = self.data / "results" / token_hex(16)
        target = folder / f"edited.{known('format', asked.format, ENDINGS)}"
        settings = _settings(asked, self.files)
        made = self._checked if self.checks.are_there(PATIENCE_SECONDS) else unchecked
        folder.mkdir(parents=True, mode=0o700)
        try:
            held = made(settings, target)
        except BaseException:
            folder.rmdir()
            raise
        return {name: _relative(value, f"{self.data}/") for name, value in held.items()}

    def _checked(self, settings: dict[str, object], target: Path) -> dict[str, Any]:
        from recast.editing.queued import check_queued, document_of
        from recast.editing.request import Request

        request = Request.asked(**settings, target=target)
        check_queued(request)
        self.abilities.check(request.model, request.method)
        return document_of(request)


def check_schedule_files(schedules: Mapping[str, str]) -> None:
    """Raises RequestError for schedules that name files, which no client may, and for what is wrong with one."""
    if "pictures" in schedules:
        raise RequestError(NO_PICTURES)
    if files_in(schedules):
        raise RequestError(NO_SOUNDS)


def _settings(asked: JobRequest, files: UserFiles) -> dict[str, object]:
    """What is asked for, by the names of an edit. Raises RequestError for what has no place in a job of a server."""
    taken = sorted(set(OWN) & set(asked.settings))
    if taken:
        raise RequestError(f"{taken[0]} is no setting here; it has a field of its own, or none")
    with suppress(ValidationError):  # told of with all other settings
        check_schedule_files(TypeAdapter(Schedules).validate_python(asked.settings.get("schedules", {})))
    return {
        "source": files.path(asked.source),
        "words": [str(text) for text in asked.prompt],
        "pictures": [str(files.path(number)) for number in asked.images],
        "mask": files.path(asked.mask) if asked.mask else None,
        "model": known("model", asked.model, usable_models()),
        **asked.settings,
    }


def _relative(value: Any, folder: str) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, list):
        return [_relative(each, folder) for each in value]
    return value.removeprefix(folder) if isinstance(value, str) else value


def view(job: StoredJob) -> JobView:
    """The job without paths."""
    settings, result = showable(job.document), showable(job.result or {})
    return JobView(
        id=job.key,
        state=job.state,
        prompt=[text if weight == 1 else f"{text}:{weight:g}" for text, weight in settings.get("words", [])],
        method=settings.get("method", ""),
        model=Path(settings.get("model", "")).name,
        stage=job.stage,
        progress=job.done / job.total if job.total else None,
        created=job.created,
        started=job.started,
        finished=job.finished,
        frames=result.get("frames"),
        notes=[without_paths(note, job) for note in result.get("notes", [])],
        error=showable(without_paths(job.error, job)),
        cancelling=job.cancel,
        source=_number(settings.get("source")) or "",
        images=[number for path, _ in settings.get("pictures", []) if (number := _number(path))],
        mask=_number(settings.get("mask")),
        format=Path(settings.get("target", "")).suffix[1:],
        batch=showable(job.batch),
        priority=job.priority,
        settings=_changed(settings),
    )


def _number(path: str | None) -> str | None:
    """The name that clients have for a file of theirs."""
    return Path(path).parent.name if path and Path(path).name.startswith("content.") else None


def _changed(settings: dict[str, Any]) -> dict[str, Any]:
    """What was asked for beyond the defaults, with the method's own settings beside the others."""
    plain = _plain()
    own = {*OWN, "schema_version", "knobs", "method"}
    others = {name: value for name, value in settings.items() if name in plain and name not in own}
    return {name: value for name, value in others.items() if value != plain[name]} | settings.get("knobs", {})


@cache
def _plain() -> dict[str, Any]:
    """Settings of a request of which nothing is said, in JSON's types."""
    from recast.editing.request import FIELDS

    held = {name: field.get_default(call_default_factory=True) for name, field in FIELDS.items()}
    return json.loads(json.dumps(held, default=str))


def usable_models() -> list[str]:
    """The models that edits can name: those of the package, and those that were pulled."""
    from recast.model.folder import MODELS
    from recast.model.pulled import is_pulled
    from recast.model.specs import SPECS

    return [*MODELS, *(name for name, spec in SPECS.items() if spec.edits and is_pulled(name))]


def download_name(job: StoredJob) -> str:
    """What a browser calls the result that it keeps: by the first words, in plain letters."""
    words = " ".join(text for text, _ in job.document.get("words", []))
    short = "-".join(re.findall(r"[a-z0-9]+", words.lower())[:8])
    return f"{short or 'edited'}{Path(job.document['target']).suffix}"


def forgotten(job: StoredJob, data: Path) -> None:
    """Deletes what a removed job has left."""
    folder = data / Path(job.document["target"]).parent
    if folder.parent == data / "results":
        shutil.rmtree(folder, ignore_errors=True)


def without_paths(text: str, job: StoredJob) -> str:
    """The text with the folders of the job's files cut from it."""
    named = [job.document.get(name) for name in ("source", "target", "mask")]
    named += [path for path, _ in job.document.get("pictures", [])]
    for path in filter(None, named):
        text = text.replace(str(Path(path).parent) + "/", "")
    return text


def result_path(job: StoredJob, data: Path) -> Path:
    """Where the result of a job lies. Raises RequestError where there is none to be sent."""
    path = data / job.document["target"]
    if job.state is not JobState.DONE or not path.is_file() or path.suffix[1:] not in ENDINGS:
        raise RequestError(f"the job is {job.state}; it has no result to be sent")
    return path
