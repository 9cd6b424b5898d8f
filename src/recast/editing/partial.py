"""What is finished of a long edit, written out while the edit itself is not: its job stays, and can still go on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from recast.editing.checks import check_inputs, check_target, source_of, treated
from recast.editing.edit import WrittenEdit
from recast.editing.glimpse import no_look
from recast.editing.job import FACTS, EditJob
from recast.editing.loaded import Model
from recast.editing.long import LongEdit, blank
from recast.editing.progress import no_progress
from recast.editing.record import Record
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.segments import Segmentation
from recast.editing.stages import made_record, write_frames
from recast.errors import RequestError
from recast.files import ABOUT, JOB, LOCK, job_folder, run_lock
from recast.progress import ProgressCallback
from recast.types import Clip
from recast.video.read import Source, opened
from recast.video.sequence import NUMBER


@dataclass(frozen=True)
class UnfinishedEdit:
    """A long edit of which some segments are done. request: its own, without a target. whole: the target."""

    job: EditJob
    request: Request
    whole: Path


def partial_name(target: Path) -> Path:
    """Where what is finished of an edit to `target` goes when nobody says it: out-partial.mp4 beside out.mp4."""
    if NUMBER.search(target.name):  # shots/%05d.png
        folder = target.parent if target.parent.name else target.absolute().parent
        return folder.with_name(f"{folder.name}-partial") / target.name
    return target.with_name(f"{target.stem}-partial{target.suffix}")


@contextmanager
def unfinished_edit(target: Path, whole: Path | None = None) -> Iterator[UnfinishedEdit]:
    """The unfinished edit to `target`, held for this run. target: its result, or OUT.job itself.

    whole: where the result is put in the end, if that is elsewhere. Nothing in the job's folder is changed.

    Raises RequestError where there is none, its folder is not recast's, another run is at work there, or no segment is
    done; MediaError where what it says of itself is damaged.
    """
    folder = target.absolute() if target.name.endswith(JOB) else job_folder(target)
    if not folder.is_dir():
        raise RequestError(f"there is no unfinished edit to {target}: no folder {folder}")
    if not any((folder / name).exists() for name in (LOCK, ABOUT)):
        raise RequestError(f"{folder} is not recast's, and holds no unfinished edit; name that of a long edit")
    with run_lock(folder, "wait for it, or stop it with Ctrl-C, which keeps the segments that are done"):
        job = EditJob(folder)
        if not (folder / FACTS).is_file() or not job.segments_done():
            raise RequestError(
                f"no segment of this edit is finished yet, so there is nothing to write out; the command that began it "
                f"goes on: {folder}"
            )
        yield UnfinishedEdit(job, _request(folder / FACTS), whole or target.with_name(target.name.removesuffix(JOB)))


def write_partial(
    unfinished: UnfinishedEdit,
    target: Path,
    model: Model,
    watch: ProgressCallback = no_progress,
    *,
    overwrite: bool = False,
) -> WrittenEdit:
    """Decodes the finished segments to `target`, without the frames that the next segment still changes.

    So each frame is what the finished edit has there. Times and sound are those of these frames.

    Raises RequestError where the source, the model or recast has changed since the edit began, and what `edit` raises.
    """
    request, job = replace(unfinished.request, target=target, overwrite=overwrite), unfinished.job
    source = check_partial(unfinished, target, overwrite=overwrite)
    resolved = resolve(request, model, source)
    job.begin(made_record(resolved, Clip(blank(resolved, 1), source.fps), 0, model))
    survey, cut = job.survey(), Segmentation.of(resolved)
    done = cut.segments(survey.starts, survey.frames)[: job.segments_done()]
    count = done[-1].span.stop - done[-1].handed_on
    # The writer ends sound with a window's last frame, and carries on to the file's end without one.
    most = count if count < survey.frames else resolved.stretch.max_frames
    shown = replace(resolved, stretch=replace(resolved.stretch, max_frames=most))
    record = _record(made_record(shown, Clip(blank(shown, 2), source.fps), count, model), survey.frames)
    with model.placed() as placed:
        notes = write_frames(
            shown,
            LongEdit(resolved, placed, source, job, cut, no_look).decoded(done),
            record,
            target,
            watch,
            numbers=range(survey.first, survey.first + count),
            overwrite=overwrite,
        )
    return WrittenEdit(count, record, notes)


def check_partial(unfinished: UnfinishedEdit, target: Path, *, overwrite: bool = False) -> Source:
    """Finds what hinders `write_partial` before a model is read; the source. Raises what that raises."""
    if target.absolute() == unfinished.whole.absolute():
        raise RequestError(f"the whole edit goes to {target}; give what is finished another name with -o")
    request = replace(unfinished.request, target=target, overwrite=overwrite)
    check_inputs(request)
    source = treated(opened(source_of(request), request.on_damage), request)
    check_target(request, source)
    return source


def _request(facts: Path) -> Request:
    """The request that an edit was begun with. Raises MediaError, or RequestError, where it is damaged."""
    text = facts.read_text("utf-8", errors="replace")
    with suppress(AttributeError, RecursionError, ValueError):  # told by what reads it next
        text = json.dumps({name: value for name, value in json.loads(text).items() if name != "about"})
    return Request.from_dict(Record.from_json(text).request)


def _record(record: Record, total: int) -> Record:
    """The record of what is finished, with how many frames there are in all."""
    count = record.worked["frames"]
    note = f"the first {count} of {total} frames of an edit that is not finished; a rerun makes all of them"
    notes = (*record.notes, note) if count < total else record.notes
    return replace(record, worked=record.worked | {"of_frames": total}, notes=notes)
