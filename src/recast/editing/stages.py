"""The whole flow of an edit, in six blocks, one a stage: read, structure, content, denoise, decode, write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import repeat
from pathlib import Path

import torch
from einops import repeat as repeated

from recast.conditions.detail import softened
from recast.diffusion.blend import blend_source
from recast.editing.loaded import Model
from recast.editing.mask import composited
from recast.editing.record import Record
from recast.editing.request import Request
from recast.editing.resolve import (
    check_inputs,
    check_target,
    chosen_size,
    clip_at,
    contents,
    enlargement,
    is_out_of_memory,
    mask_of,
    method_of,
    shot_of,
    source_of,
    source_tokens,
    window_of,
    with_method,
)
from recast.errors import BackboneError, OutOfMemoryError
from recast.types import (
    Clip,
    Condition,
    DenoiseInputs,
    Frames,
    Latents,
    Maps,
    ProgressCallback,
    StepHook,
    Structure,
    unchanged,
)
from recast.video.read import Source, frames, opened, read
from recast.video.resize import enlarged
from recast.video.write import writing

DECODED_AT_ONCE = 4

Report = Callable[[int, int], None]


class Stage(StrEnum):
    """The six steps of an edit, in order. Progress and errors use these names."""

    READ = "read"
    STRUCTURE = "structure"
    CONTENT = "content"
    DENOISE = "denoise"
    DECODE = "decode"
    WRITE = "write"


def no_progress(_stage: str, _done: int, _total: int, /) -> None:
    """The watch that looks away."""


@contextmanager
def stage(name: Stage, watch: ProgressCallback) -> Iterator[Report]:
    """Reports a stage's start and end, gives its block a way to report between, and names it in errors that leave it.

    Raises OutOfMemoryError, with what to do, in place of what torch, OpenCV and Python raise for it.
    """
    whole = 1

    def report(done: int, total: int) -> None:
        nonlocal whole
        whole = total
        watch(name, done, total)

    report(0, 1)
    try:
        yield report
    except Exception as error:
        error.add_note(f"in stage {name}")
        if not is_out_of_memory(error):
            raise
        remedy = "use fewer frames (--max-frames), a smaller --size, or another --device"
        raise OutOfMemoryError(f"out of memory in stage {name}; {remedy}") from error
    watch(name, whole, whole)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A clip and its structure: what all edits of it share. structure: None where the model reads none.

    source: None for a clip that came from no file. size: rows and columns before it was brought to the size to work at.
    """

    source: Source | None
    size: tuple[int, int]
    clip: Clip
    structure: Structure | None


@dataclass(frozen=True, eq=False)
class Edited:
    """An edited clip at the size that was worked at, with what it takes to write it at the source's size.

    notes: what could not be kept as it was in the source, as far as it was written.
    """

    request: Request
    prepared: Prepared
    frames: Frames
    record: Record
    notes: tuple[str, ...] = ()


def edit(request: Request, model: Model, watch: ProgressCallback = no_progress) -> Edited:
    """From the request's source to its target. Raises RecastError, with the stage's name in its notes."""
    check_inputs(request)
    target = check_target(request)
    edited = generate(request, prepare(request, model, watch), model, watch)
    return write(edited, target, watch, overwrite=request.overwrite)


def prepare(
    request: Request, model: Model, watch: ProgressCallback = no_progress, clip: Clip | None = None
) -> Prepared:
    """The request's clip, or the one given, at the size to work at, and its structure."""
    with stage(Stage.READ, watch):
        if clip is None:
            source = opened(source_of(request))
            size = source.size
            clip = read(source, replace(window_of(request), size=chosen_size(request, source, model)))
        else:
            source, size = None, clip.size
            clip = clip_at(clip, chosen_size(request, clip, model))
    with stage(Stage.STRUCTURE, watch):
        # A network that reads no structure needs no extractor, which its folder may lack.
        structure = model.extractor(request.structure)(clip) if model.backbone.structure_kinds else None
    return Prepared(source, size, clip, structure)


def generate(request: Request, prepared: Prepared, model: Model, watch: ProgressCallback = no_progress) -> Edited:
    """The clip with the request's content."""
    request = with_method(request, model)
    with stage(Stage.CONTENT, watch):
        wanted, unwanted = contents(request, model)
    with stage(Stage.DENOISE, watch) as report:
        channels = _structure_channels(request, prepared, model)
        frames = prepared.clip.first + torch.arange(len(prepared.clip))
        condition = Condition(wanted, unwanted, channels, frames)
        shot = shot_of(request, prepared.clip, condition, model)
        method = method_of(request, model)
        if method.needs_source:
            own = source_tokens(request, prepared.clip, model)
            shot = replace(shot, source=replace(condition, cond=own, uncond=model.backbone.null_tokens()))
        step_hook = _reporting(report, model.backbone.sigmas(shot.steps), _masking(request, prepared, shot, model))
        latents = method(replace(shot, step_hook=step_hook), model.backbone)
    with stage(Stage.DECODE, watch) as report:
        decoded = []
        for few in latents.split(DECODED_AT_ONCE):
            report(DECODED_AT_ONCE * len(decoded), len(latents))
            decoded.append(model.backbone.decode(few))
    return Edited(request, prepared, torch.cat(decoded), _record(request, prepared, shot, model))


def write(edited: Edited, target: Path, watch: ProgressCallback = no_progress, *, overwrite: bool = False) -> Edited:
    """Writes the edited clip at its source's own size, with its sound; outside the mask the source's own pixels."""
    request, source, clip = edited.request, edited.prepared.source, edited.prepared.clip
    assert source is not None, "a clip from memory has no file to take size, times and sound from"
    window, mask, strength = window_of(request), mask_of(request, edited.prepared.size), enlargement(request)
    parts = repeat(None) if mask is None else mask.frames(clip.first, len(clip))
    with (
        stage(Stage.WRITE, watch) as report,
        writing(target, source, window, record=edited.record.to_json(), overwrite=overwrite) as writer,
    ):
        for done, (small, whole, part) in enumerate(zip(edited.frames, frames(source, window), parts, strict=False)):
            report(done, len(clip))
            pixels = enlarged(small, whole.pixels, strength)
            writer.add(pixels if part is None else composited(pixels, whole.pixels, part), like=whole)
        notes = writer.notes
    return replace(edited, notes=notes)


def export(
    request: Request,
    prepared: Prepared,
    target: Path,
    watch: ProgressCallback = no_progress,
    *,
    overwrite: bool = False,
) -> None:
    """Writes the structure of a clip from a file, as soft as an edit would be told it, at the source's size."""
    assert prepared.source is not None, "a clip from memory has no file to take size and times from"
    if prepared.structure is None:
        raise BackboneError("this model reads no structure, so there is none to write; name another model with -m")
    soft = softened(prepared.structure.maps, request.structure_detail)
    grey = repeated((255 * soft).round().to(torch.uint8), "t 1 h w -> t c h w", c=3)
    window = window_of(request)
    with (
        stage(Stage.WRITE, watch) as report,
        writing(target, prepared.source, window, record=None, overwrite=overwrite) as writer,
    ):
        for done, (small, whole) in enumerate(zip(grey, frames(prepared.source, window), strict=True)):
            report(done, len(grey))
            writer.add(enlarged(small, whole.pixels, strength=0.0), like=whole)


def _structure_channels(request: Request, prepared: Prepared, model: Model) -> Maps | None:
    if prepared.structure is None:
        return None
    return model.backbone.structure_channels(replace(prepared.structure, detail=request.structure_detail))


def _masking(request: Request, prepared: Prepared, shot: DenoiseInputs, model: Model) -> StepHook:
    mask = mask_of(request, prepared.size)
    if mask is None:
        return unchanged
    latents = model.backbone.encode(prepared.clip.frames)
    edited = mask.at((latents.shape[-2], latents.shape[-1]), prepared.clip.first, len(prepared.clip))
    return blend_source(latents, shot.noise(latents), (1 - edited).to(latents))


def _reporting(report: Report, levels: list[float], edit: StepHook) -> StepHook:
    def reported(x: Latents, sigma: float, /) -> Latents:
        # A walk may start below the highest level; what lies above counts as done.
        report(sum(level > sigma for level in levels), len(levels) - 1)
        return edit(x, sigma)

    return reported


def _record(request: Request, prepared: Prepared, shot: DenoiseInputs, model: Model) -> Record:
    worked = {
        "size": f"{prepared.clip.size[1]}x{prepared.clip.size[0]}",
        "frames": len(prepared.clip),
        "cfg": shot.cfg_scale,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "enlarged": {"by": request.enlarge, "strength": round(enlargement(request), 4)},
    }
    notes = () if prepared.source is None else prepared.source.notes
    return Record.made(request.updated(model=model.name), model_digest=model.digest, worked=worked, notes=notes)
