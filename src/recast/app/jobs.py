"""Jobs as clients see them: settings in, state and result out; paths of this machine never leave it."""

from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from recast.app.files import UserFiles
from recast.errors import RequestError, known
from recast.jobs.stored import JobState, StoredJob

ENDINGS = {"mp4": "video/mp4", "mov": "video/quicktime", "mkv": "video/x-matroska", "webm": "video/webm"}
"""Kinds of results, and what they are served as."""
OWN = (
    *("source", "target", "mask", "image", "pictures", "words", "prompt"),
    *("adapter", "adapters", "flow", "model", "overwrite"),
)
"""Settings that say where something lies, or that have a field of their own here."""
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
    settings: dict[str, Any] = Field(
        default={}, max_length=100, description="Any other setting of an edit, or of its method, by its name."
    )


class JobView(BaseModel):
    """A job, and how far it is. progress: 0..1 of the stage, None before there is one."""

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


def document(asked: JobRequest, files: UserFiles, data: Path) -> dict[str, Any]:
    """What the queue is given: the request with paths in place of names. Raises RecastError for what cannot be done.

    Paths are relative to the data folder, in which workers stand: the record in a result has them.
    """
    from recast.editing.queued import check_queued, document_of
    from recast.editing.request import Request
    from recast.model.folder import MODELS

    taken = sorted(set(OWN) & set(asked.settings))
    if taken:
        raise RequestError(f"{taken[0]} is no setting here; it has a field of its own, or none")
    folder = data / "results" / token_hex(16)
    request = Request.asked(
        source=files.path(asked.source),
        words=[str(text) for text in asked.prompt],
        pictures=[str(files.path(number)) for number in asked.images],
        mask=files.path(asked.mask) if asked.mask else None,
        model=known("model", asked.model, MODELS),
        target=folder / f"edited.{known('format', asked.format, ENDINGS)}",
        **asked.settings,
    )
    folder.mkdir(parents=True, mode=0o700)
    try:
        check_queued(request)
    except BaseException:
        folder.rmdir()
        raise
    return {name: _relative(value, f"{data}/") for name, value in document_of(request).items()}


def _relative(value: Any, folder: str) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, list):
        return [_relative(each, folder) for each in value]
    return value.removeprefix(folder) if isinstance(value, str) else value


def view(job: StoredJob) -> JobView:
    """The job without paths."""
    settings, result = job.document, job.result or {}
    return JobView(
        id=job.key,
        state=job.state,
        prompt=[text for text, _ in settings.get("words", [])],
        method=settings.get("method", ""),
        model=Path(settings.get("model", "")).name,
        stage=job.stage,
        progress=job.done / job.total if job.total else None,
        created=job.created,
        started=job.started,
        finished=job.finished,
        frames=result.get("frames"),
        notes=[without_paths(note, job) for note in result.get("notes", [])],
        error=without_paths(job.error, job),
        cancelling=job.cancel,
    )


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
