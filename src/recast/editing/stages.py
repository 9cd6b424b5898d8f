"""An edit of a clip in memory, after it was read: content, denoise, decode, write; and its structure as a file."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from recast.conditions.content import Medium
from recast.conditions.detail import as_pictures, softened
from recast.editing.denoise import contents_of, denoised, encoded_contents
from recast.editing.glimpse import Look, no_look
from recast.editing.loaded import Model
from recast.editing.mask import composited
from recast.editing.model_defaults import spacing_note
from recast.editing.prepared import Prepared
from recast.editing.progress import Stage, no_progress, part_of, stage
from recast.editing.record import Record
from recast.editing.resolve import ResolvedEdit
from recast.errors import BackboneError, RequestError
from recast.progress import ProgressCallback
from recast.types import Clip, Frames
from recast.video.read import Source, frames
from recast.video.resize import enlarged
from recast.video.write import writing


@dataclass(frozen=True, eq=False)
class Edited:
    """An edited clip at the size that was worked at, with what it takes to write it at the source's size.

    notes: what could not be kept as it was in the source, as far as it was written.
    """

    resolved: ResolvedEdit
    prepared: Prepared
    frames: Frames
    record: Record
    notes: tuple[str, ...] = ()


def generate(
    resolved: ResolvedEdit,
    prepared: Prepared,
    model: Model,
    watch: ProgressCallback = no_progress,
    *,
    look: Look = no_look,
) -> Edited:
    """The clip with the wanted content, each shot for itself. look: sees each step of denoising.

    Raises RequestError where the model was loaded with other adapters.
    """
    shots = prepared.shots
    check_in_one_part(model, len(shots), "shots")
    with stage(Stage.CONTENT, watch):
        words = encoded_contents(resolved, model)
        contents = [contents_of(words, resolved, shot.clip.frames, model) for shot in shots]
    with stage(Stage.DENOISE, watch) as report:
        latents = [
            model.backbone.encode(shot.clip.frames)
            if len(shots) > 1 and is_kept(resolved, shot.clip)
            else denoised(resolved, shot, content, model, part_of(report, number, len(shots)), hold=look)
            for number, (shot, content) in enumerate(zip(shots, contents, strict=True))
        ]
    decode = model.decode(resolved.request.decoder)
    with stage(Stage.DECODE, watch) as report:
        decoded = [
            decode(each, part_of(report, number, len(shots)))[: len(shot.clip)]
            for number, (shot, each) in enumerate(zip(shots, latents, strict=True))
        ]
    return Edited(
        resolved, prepared, torch.cat(decoded), made_record(resolved, prepared.clip, len(prepared.clip), model)
    )


def check_in_one_part(model: Model, parts: int, kind: str) -> None:
    """Raises BackboneError for a clip that is edited in parts by a network that starts from a picture."""
    if parts > 1 and Medium.WORDS not in model.backbone.media:
        wrong = f"this model carries one picture through one shot, and the clip has {parts} {kind}"
        raise BackboneError(f"{wrong}; edit them one by one with --start and --end, each with its own picture")


def is_kept(resolved: ResolvedEdit, clip: Clip) -> bool:
    """Whether the mask leaves nothing of a part of the clip to edit."""
    mask = resolved.mask
    return mask is not None and mask.is_empty(clip.first, len(clip))


def write(
    edited: Edited,
    target: Path,
    watch: ProgressCallback = no_progress,
    *,
    overwrite: bool = False,
    inside: Path | None = None,
) -> Edited:
    """Writes the edited clip at its source's own size, with its sound; outside the mask the source's own pixels.

    inside: the workplace of a run that has one.
    """
    clip = edited.prepared.clip
    notes = write_frames(
        edited.resolved,
        edited.frames,
        edited.record,
        target,
        watch,
        numbers=range(clip.first, clip.first + len(clip)),
        overwrite=overwrite,
        inside=inside,
    )
    return replace(edited, notes=notes)


def write_frames(
    resolved: ResolvedEdit,
    edited: Iterable[UInt8[Tensor, "3 h w"]],
    record: Record,
    target: Path,
    watch: ProgressCallback = no_progress,
    *,
    numbers: range,
    overwrite: bool = False,
    inside: Path | None = None,
) -> tuple[str, ...]:
    """`write`, of frames that come one by one. numbers: theirs in the source.

    Returns what could not be kept as it was in the source.
    """
    source, mask = _file(resolved), resolved.mask
    parts = repeat(None) if mask is None else mask.frames(numbers.start, len(numbers))
    with (
        stage(Stage.WRITE, watch) as report,
        writing(
            target,
            source,
            resolved.stretch,
            record=record.to_json(),
            overwrite=overwrite,
            codec=resolved.request.codec,
            inside=inside,
        ) as writer,
    ):
        wholes = frames(source, resolved.stretch)
        for done, (small, whole, part) in enumerate(zip(edited, wholes, parts, strict=False)):
            report(done, len(numbers))
            pixels = enlarged(small, whole.pixels, resolved.outlines_at(numbers.start + done))
            writer.add(pixels if part is None else composited(pixels, whole.pixels, part), like=whole)
        return writer.notes


def export(
    resolved: ResolvedEdit,
    prepared: Prepared,
    model: Model,
    target: Path,
    watch: ProgressCallback = no_progress,
    *,
    overwrite: bool = False,
) -> None:
    """Writes the structure of a clip from a file, as soft as an edit would read it, at the source's size."""
    source = _file(resolved)
    if not prepared.structures:
        raise BackboneError("this model reads no structure, so there is none to write; name another model with -m")
    if len(prepared.structures) > 1:
        raise RequestError(f"one structure is written at a time, and {len(prepared.structures)} were named; name one")
    soft = softened(prepared.structures[0].maps, resolved.detail, model.backbone.trained_side)
    shown = as_pictures((255 * soft).round()).to(torch.uint8)
    with (
        stage(Stage.WRITE, watch) as report,
        writing(target, source, resolved.stretch, record=None, overwrite=overwrite) as writer,
    ):
        for done, (small, whole) in enumerate(zip(shown, frames(source, resolved.stretch), strict=True)):
            report(done, len(shown))
            writer.add(enlarged(small, whole.pixels, strength=0.0), like=whole)


def _file(resolved: ResolvedEdit) -> Source:
    assert isinstance(resolved.source, Source), "a clip from memory has no file to take size, times and sound from"
    return resolved.source


def made_record(resolved: ResolvedEdit, clip: Clip, frames: int, model: Model) -> Record:
    """The record of an edit of so many frames. clip: some of them."""
    worked = resolved.facts | {
        "frames": frames,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    notes = resolved.source.notes if isinstance(resolved.source, Source) else ()
    notes += spacing_note(clip, model)
    return Record.made(resolved.request, model_digest=model.digest, worked=worked, notes=notes)
