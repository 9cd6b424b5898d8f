"""An edit from file to file: read, structure, content, denoise, decode, write. Long clips go segment by segment."""

from dataclasses import dataclass, replace

from recast.editing.checks import check_inputs, check_target, source_of, target_of, treated
from recast.editing.glimpse import Look, no_look
from recast.editing.job import job_beside
from recast.editing.loaded import Model
from recast.editing.long import edit_long
from recast.editing.prepared import prepared_of, read_clip
from recast.editing.progress import no_progress
from recast.editing.record import Record
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.short_memory import Attempt, made_with_less, with_less
from recast.editing.stages import check_in_one_part, generate, write
from recast.progress import ProgressCallback
from recast.video.read import Source, opened


@dataclass(frozen=True)
class WrittenEdit:
    """An edit that was written. num_frames: in it. notes: what could not be kept as it was in the source."""

    num_frames: int
    record: Record
    notes: tuple[str, ...]


def edit(
    request: Request,
    model: Model,
    watch: ProgressCallback = no_progress,
    *,
    look: Look = no_look,
    first: Attempt | None = None,
) -> WrittenEdit:
    """From the request's source to its target. Raises RecastError, with the stage's name in its notes.

    A clip of more than `segment` frames is edited as `recast.editing.long` says. look: sees each step of denoising.
    first: how it is tried first, where that is not as asked. Where memory runs out it is tried with less at once, which
    the record says.
    """
    check_inputs(request)
    source = treated(opened(source_of(request), request.on_damage), request)
    check_target(request, source)

    return made_with_less(
        (first or Attempt(request, model)).gone_on(),
        lambda attempt: _edited(attempt, source, watch, look),
        lambda attempt: with_less(attempt, source, source.num_frames or request.segment),
    )


def _edited(attempt: Attempt, source: Source, watch: ProgressCallback, look: Look) -> WrittenEdit:
    request = attempt.request
    target, resolved = target_of(request), resolve(request, attempt.model, attempt.noted(source))
    # Held from the start, so that what hinders the writing is found before the work.
    with job_beside(target) as job, attempt.model.placed() as model:
        clip = read_clip(resolved, watch, most=request.segment + 1)
        if len(clip) > request.segment:
            check_in_one_part(model, 2, "segments or more (--segment)")
            record, count, notes = edit_long(
                resolved, model, target, replace(job, asked=attempt.asked), watch, look=look
            )
            return WrittenEdit(count, record, notes)
        job.check_unbegun()
        edited = generate(resolved, prepared_of(clip, resolved, model, watch), model, watch, look=look)
        edited = write(edited, target, watch, overwrite=request.overwrite, inside=job.path)
        return WrittenEdit(len(edited.frames), edited.record, edited.notes)
