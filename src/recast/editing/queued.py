"""Edits as jobs of a queue: a request is made beside its target under a name of the job, then put into its place."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recast.editing.changing import check_schedules
from recast.editing.checks import check_inputs, check_target, source_of, target_of, treated
from recast.editing.edit import edit
from recast.editing.glimpse import Glimpse
from recast.editing.job import FACTS
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.schedules import with_whole_paths
from recast.editing.short_memory import Attempt
from recast.editing.values import ALPHA
from recast.errors import RequestError
from recast.files import JOB, disk_told, put, sync
from recast.jobs.stored import JobState, StoredJob
from recast.model.folder import MODELS, is_public
from recast.progress import ProgressCallback
from recast.video.read import opened
from recast.video.sequence import NUMBER


def document_of(request: Request) -> dict[str, Any]:
    """A request as a job, with whole paths, because its worker may stand in another folder."""
    is_name = request.model in MODELS or is_public(request.model)
    model = request.model if is_name else str(Path(request.model).absolute())
    absolute = replace(
        request,
        source=request.source and request.source.absolute(),
        mask=request.mask if request.mask == ALPHA else request.mask and request.mask.absolute(),
        flow=request.flow and request.flow.absolute(),
        layout=request.layout and request.layout.absolute(),
        strokes=request.strokes and request.strokes.absolute(),
        structure_from={kind: path.absolute() for kind, path in request.structure_from.items()},
        pictures=_absolute(request.pictures),
        adapters=_absolute(request.adapters),
        schedules=with_whole_paths(request.schedules),
        model=model,
    )
    return absolute.to_dict() | {"target": str(target_of(request).absolute()), "overwrite": request.overwrite}


def check_queued(request: Request) -> None:
    """Raises RecastError for what is found wrong with a job before a model is read."""
    source = treated(opened(source_of(request), request.on_damage), request)
    check_inputs(request)
    check_schedules(request, source.fps)
    target = check_target(request, source)
    if NUMBER.search(target.name):
        raise RequestError(f"a queued edit fills a folder of its own: name {target.parent}/ instead of {target}")


def request_of(job: StoredJob) -> Request:
    """The request of a job. Raises RequestError where it is damaged."""
    return Request.from_dict(job.document)


def made_at(job: StoredJob) -> Path:
    """Where the result of a job is made: in a hidden folder beside its target, which holds all that a kill may leave.

    Beside it, so that a rename puts the result into its place.
    """
    target = Path(job.document["target"])  # of a damaged request too, so that what it left can be removed
    return target.with_name(f".{target.name}-job-{job.id}") / target.name


def glimpse_at(job: StoredJob) -> Path:
    """Where a picture of what a running job is making lies, as soon as there is one."""
    return made_at(job).with_name("glimpse.jpg")


Fit = Callable[[Request, Model], Attempt]
"""How an edit is tried first."""


@dataclass
class EditHandler:
    """Does the edits of a queue; the model of the last one stays loaded for the next."""

    fit: Fit = Attempt
    _model: Model | None = field(default=None, repr=False)

    def make(self, job: StoredJob, watch: ProgressCallback) -> dict[str, Any]:
        """Edits to `made_at`. Raises RecastError."""
        request, made = request_of(job), made_at(job)
        check_target(request)  # once more: it may have appeared since
        with disk_told(made):
            made.parent.mkdir(exist_ok=True)
        model = self._loaded(request, watch)
        look = Glimpse(glimpse_at(job), model.backbone, model.tiny_decoder)
        asked = replace(request, target=made, overwrite=True)
        result = edit(asked, model, watch, look=look, first=self.fit(asked, model))
        return {"frames": result.num_frames, "notes": [*result.record.notes, *result.notes]}

    def publish(self, job: StoredJob) -> None:
        """Gives the result its name, at once. Raises RequestError where something else has it; the result stays."""
        made, target = made_at(job), Path(job.document["target"])
        # It may be there already, where its worker died before it could say so.
        if made.exists() or not target.exists():
            try:
                _put(made, target, overwrite=job.document["overwrite"])
            except FileExistsError:
                raise RequestError(
                    f"{target} has appeared since the job was added; the result is kept as {made}: move "
                    f"{target.name} away and retry job {job.id}"
                ) from None
        shutil.rmtree(made.parent, ignore_errors=True)

    def discard(self, job: StoredJob) -> None:
        """Removes what an edit that did not end has left beside its target.

        A cancelled one keeps the segments that are done: a retry goes on there.
        """
        made = made_at(job)
        if job.state is JobState.CANCELLED and (made.with_name(made.name + JOB) / FACTS).exists():
            glimpse_at(job).unlink(missing_ok=True)
        else:
            self.forget(job)

    def forget(self, job: StoredJob) -> None:
        """Removes all that a job without a result has left."""
        shutil.rmtree(made_at(job).parent, ignore_errors=True)

    def _loaded(self, request: Request, watch: ProgressCallback) -> Model:
        held = self._model
        if held is None or _setting(request) != (held.name, request.device, request.dtype, held.adapters):
            watch("load", 0, 1)
            self._model = held = Model.loaded(
                request.model, device=request.device, dtype=request.dtype, adapters=request.adapters
            )
            watch("load", 1, 1)
        return held


def _setting(request: Request) -> tuple[object, ...]:
    return request.model, request.device, request.dtype, request.adapters


def _absolute(paths: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(Path(path).absolute()), weight) for path, weight in paths)


def _put(made: Path, target: Path, *, overwrite: bool) -> None:
    """Raises FileExistsError for a target that is there, unless it may be overwritten or is an empty folder."""
    if overwrite:
        put(made, target)
        return
    try:
        made.rename(target) if made.is_dir() else _link(made, target)
    except OSError as error:
        if error.errno in _TAKEN:
            raise FileExistsError(target) from None
        raise
    sync(target.parent)


_TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR})
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What file systems without hard links answer."""


def _link(made: Path, target: Path) -> None:
    # A link, because a rename would silently replace what has just appeared there.
    try:
        os.link(made, target)
    except OSError as error:
        if error.errno in _NO_LINKS and not target.exists():
            made.rename(target)
            return
        if not (target.exists() and made.samefile(target)):
            raise
