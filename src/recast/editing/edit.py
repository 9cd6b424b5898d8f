"""An edit from file to file: read, structure, content, denoise, decode, write. Long clips go segment by segment."""

from dataclasses import dataclass

from recast.editing.checks import check_inputs, check_target, source_of, treated
from recast.editing.glimpse import Look, no_look
from recast.editing.job import job_beside
from recast.editing.loaded import Model
from recast.editing.long import edit_long
from recast.editing.prepared import prepared_of, read_clip
from recast.editing.progress import no_progress
from recast.editing.record import Record
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import generate, write
from recast.progress import ProgressCallback
from recast.video.read import opened


@dataclass(frozen=True)
class WrittenEdit:
    """An edit that was written. num_frames: in it. notes: what could not be kept as it was in the source."""

    num_frames: int
    record: Record
    notes: tuple[str, ...]


def edit(request: Request, model: Model, watch: ProgressCallback = no_progress, *, look: Look = no_look) -> WrittenEdit:
    """From the request's source to its target. Raises RecastError, with the stage's name in its notes.

    A clip of more than `segment` frames is edited as `recast.editing.long` says. look: sees each step of denoising.
    """
    check_inputs(request)
    target = check_target(request)
    resolved = resolve(request, model, treated(opened(source_of(request), request.on_damage), request))
    # Held from the start, so that what hinders the writing is found before the work.
    with job_beside(target) as job:
        clip = read_clip(resolved, watch, most=request.segment + 1)
        if len(clip) > request.segment:
            record, count, notes = edit_long(resolved, model, target, job, watch, look=look)
            return WrittenEdit(count, record, notes)
        job.check_unbegun()
        edited = generate(resolved, prepared_of(clip, resolved, model, watch), model, watch, look=look)
        edited = write(edited, target, watch, overwrite=request.overwrite, inside=job.path)
        return WrittenEdit(len(edited.frames), edited.record, edited.notes)
