"""A clip without a source: the canvas that stands for one, and its way through the stages of an edit."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import torch

from recast.backbones.video_control import FirstPictureBackbone
from recast.conditions.content import Medium
from recast.conditions.image import picture
from recast.editing.checks import check_content, check_target, target_of
from recast.editing.edit import WrittenEdit
from recast.editing.glimpse import Look, no_look
from recast.editing.job import job_beside
from recast.editing.loaded import Model
from recast.editing.prepared import Prepared
from recast.editing.progress import Stage, no_progress, stage
from recast.editing.request import FIELDS, Request
from recast.editing.resolve import WINDOW, chosen_size, resolve
from recast.editing.short_memory import Attempt, made_with_less
from recast.editing.stages import Edited, generate, made_record
from recast.editing.storyboard import Storyboard
from recast.errors import RequestError
from recast.methods import GENERATORS
from recast.methods.without_source import check_without_source
from recast.progress import ProgressCallback
from recast.types import Clip
from recast.video.write import save_clip

USUAL = "text-to-video"
"""The way of GENERATORS that is meant where none is said."""
OF_A_SOURCE = ("source", "source_prompt", "mask", "start", "end", "flow", "structure_from")
"""Settings that say something of a source."""
USUAL_FPS = 8
"""Where neither the model nor the user says a rate."""
WIDE = Fraction(16, 9)
"""Width by height of clips by networks that see several frames at once; images are square."""


def generated_to_file(
    request: Request, model: Model, watch: ProgressCallback = no_progress, *, look: Look = no_look
) -> WrittenEdit:
    """A clip from the request's words or pictures alone, written to its target. Raises what `edit` raises."""
    target = check_target(request)

    def made(attempt: Attempt) -> WrittenEdit:
        with job_beside(target) as job, attempt.model.placed() as placed:
            job.check_unbegun()
            edited = generated(attempt.request, placed, watch, look=look)
            record = replace(edited.record, notes=(*edited.record.notes, *attempt.notes))
            clip = replace(edited.prepared.clip, frames=edited.frames)
            with stage(Stage.WRITE, watch) as report:
                notes = save_clip(
                    clip,
                    target_of(request),
                    report,
                    overwrite=request.overwrite,
                    record=record.to_json(),
                    codec=request.codec,
                    inside=job.path,
                )
        return WrittenEdit(len(clip), record, notes)

    return made_with_less(Attempt(request, model), made, lambda attempt: attempt.smaller(1, 1))


def generated(request: Request, model: Model, watch: ProgressCallback = no_progress, *, look: Look = no_look) -> Edited:
    """The same in memory; of a storyboard scene after scene. Raises RecastError, with the stage's name in its notes."""
    check_sourceless(request)
    check_without_source(model.backbone, flat=bool(request.knobs.get("flat_structure")))
    if request.storyboard is None:
        return _of_one_scene(request, model, watch, look)
    board = Storyboard.read(request.storyboard)
    if board.adapters and board.adapters != request.adapters:
        named = ", ".join(path for path, _ in board.adapters)
        raise RequestError(f"the storyboard names adapters ({named}) and the model was loaded with others; load it so")
    requests = board.requests(request)
    for each in requests:
        check_content(each)
    return _in_turn(request, requests, model, watch, look)


def _of_one_scene(request: Request, model: Model, watch: ProgressCallback, look: Look) -> Edited:
    if isinstance(model.backbone, FirstPictureBackbone) and not request.pictures:
        raise RequestError("this model starts a clip from a picture, and there is no source; say --image FILE")
    clip = canvas(request, model)
    resolved = replace(resolve(request, model, clip), outlines=0.0)
    return generate(resolved, Prepared(clip, ()), model, watch, look=look)


def _in_turn(
    request: Request, requests: Sequence[Request], model: Model, watch: ProgressCallback, look: Look
) -> Edited:
    """The scenes as one clip, with the places of its cuts and each scene's seed in the record's notes.

    Raises RequestError where scenes have other sizes or rates.
    """
    canvases = [canvas(each, model) for each in requests]
    if len({(clip.size, clip.fps) for clip in canvases}) > 1:
        raise RequestError("scenes of one clip have one size and one rate; say both once, for all of them")
    made = [_of_one_scene(each, model, watch, look) for each in requests]
    frames = torch.cat([each.frames for each in made])
    ends = list(accumulate(len(each.frames) for each in made))
    notes = tuple(
        f"scene {number}: frames {end - len(each.frames)} to {end - 1}, seed {asked.seed}, {_worded(asked)!r}"
        for number, (asked, each, end) in enumerate(zip(requests, made, ends, strict=True), 1)
    )
    more = tuple(note for note in dict.fromkeys(note for each in made for note in each.record.notes))
    whole = Prepared(replace(canvases[0], frames=frames), (), tuple(ends[:-1]))
    resolved = replace(made[0].resolved, request=replace(request, model=model.name))
    record = made_record(resolved, whole.clip, len(frames), model)
    record = replace(record, notes=(*notes, *more), inputs=record.inputs | _inputs(made))
    return Edited(resolved, whole, frames, record)


def _worded(asked: Request) -> str:
    return asked.words[0][0] if asked.words else asked.schedules.get("words", "")


def _inputs(made: Sequence[Edited]) -> dict[str, str]:
    return {path: digest for each in made for path, digest in each.record.inputs.items()}


def check_sourceless(request: Request) -> None:
    """Raises RequestError for a method or settings that need a source, and where nothing says what to show."""
    for name in OF_A_SOURCE:
        if getattr(request, name) != FIELDS[name].get_default(call_default_factory=True):
            raise RequestError(f"{name.replace('_', ' ')} is of a source, and generate has none; leave it out")
    if request.vram is not None:
        raise RequestError("vram bounds an edit, and generate edits nothing; leave it out")
    if request.method not in GENERATORS:
        raise RequestError(f"{request.method} edits a clip, and generate has none; leave the method out")
    check_content(request)


def canvas(request: Request, model: Model) -> Clip:
    """A black clip of the size, length and rate that were asked for, one frame in memory.

    Raises RequestError for a size that the model cannot take, and for a length that is said twice.
    """
    if request.max_frames is not None and request.duration is not None:
        raise RequestError("frames and duration are both given; keep one of them")
    backbone, own = model.backbone, model.folder.metadata
    rate = Fraction(request.fps or own.fps or USUAL_FPS).limit_denominator(1001)
    count = (own.frames or own.window or WINDOW) if backbone.has_temporal_layers else 1
    if request.duration is not None:
        count = max(1, round(request.duration * rate))
    aspect = _aspect(request, model)
    side = request.size if isinstance(request.size, int) else backbone.short_side
    pixel = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    # Large, so that it is not taken for a small picture, which would be enlarged twice at most.
    shape = pixel.expand(-1, -1, side * aspect.denominator, side * aspect.numerator)
    rows, columns = chosen_size(request, Clip(shape, rate), model)
    frame = torch.zeros(1, 3, rows, columns, dtype=torch.uint8)
    return Clip(frame.expand(request.max_frames or count, -1, -1, -1), rate)


def _aspect(request: Request, model: Model) -> Fraction:
    """Width by height: of the picture where clips start with one, else what the model or its family makes."""
    backbone, own = model.backbone, model.folder.metadata.aspect
    if own is not None:
        return Fraction(own).limit_denominator(1001)
    if Medium.WORDS not in backbone.media and request.pictures:
        shown = picture(request.pictures[0][0])
        return Fraction(shown.shape[-1], shown.shape[-2])
    return WIDE if backbone.temporal_stride > 1 else Fraction(1)
