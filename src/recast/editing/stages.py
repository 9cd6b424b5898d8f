"""The whole flow of an edit, in six blocks, one a stage: read, structure, content, denoise, decode, write."""

from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import torch

from recast.conditions.content import ContentInput
from recast.conditions.detail import as_pictures, softened
from recast.denoising import DenoiseInputs, StepHook, unchanged
from recast.diffusion.blend import blend_source
from recast.editing.checks import check_inputs, check_target, source_of
from recast.editing.loaded import Model
from recast.editing.mask import composited
from recast.editing.progress import Stage, no_progress, reporting, stage
from recast.editing.record import Record
from recast.editing.request import Request
from recast.editing.resolve import ResolvedEdit, resolve, spacing_note
from recast.errors import BackboneError, RequestError
from recast.progress import ProgressCallback
from recast.types import Clip, Condition, Frames, Structure, Tokens, latent_count
from recast.video.read import Source, cut, frames, opened, read
from recast.video.resize import enlarged
from recast.video.write import writing


@dataclass(frozen=True, eq=False)
class Prepared:
    """A clip at the size to work at, and its structures: what edits of one stretch, size and kinds of structure share.

    structures: in the order in which they were named; none where the model reads none.
    """

    clip: Clip
    structures: tuple[Structure, ...]


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


def edit(request: Request, model: Model, watch: ProgressCallback = no_progress) -> Edited:
    """From the request's source to its target. Raises RecastError, with the stage's name in its notes."""
    check_inputs(request)
    target = check_target(request)
    resolved = resolve(request, model, opened(source_of(request)))
    edited = generate(resolved, prepare(resolved, model, watch), model, watch)
    return write(edited, target, watch, overwrite=request.overwrite)


def prepare(resolved: ResolvedEdit, model: Model, watch: ProgressCallback = no_progress) -> Prepared:
    """The clip at the size to work at, and its structure."""
    with stage(Stage.READ, watch):
        source, window = resolved.source, replace(resolved.stretch, size=resolved.size)
        clip = cut(source, window) if isinstance(source, Clip) else read(source, window)
    with stage(Stage.STRUCTURE, watch):
        # A network that reads no structure needs no extractor, which its folder may lack.
        named = resolved.structures if model.backbone.structure_kinds else ()
        structures = tuple(model.extractor(each.kind)(clip) for each in named)
    return Prepared(clip, structures)


def generate(resolved: ResolvedEdit, prepared: Prepared, model: Model, watch: ProgressCallback = no_progress) -> Edited:
    """The clip with the wanted content. Raises RequestError where the model was loaded with other adapters."""
    _check_adapters(resolved.request, model)
    with stage(Stage.CONTENT, watch):
        cond = _tokens(resolved.cond, resolved, model)
        negative = _tokens(resolved.uncond, resolved, model) if resolved.uncond else None
    with stage(Stage.DENOISE, watch) as report, model.in_force():
        words = model.backbone.prompt_tokens(resolved.cond)
        bare = Condition(cond, model.backbone.null_tokens(), negative=negative, words=words)
        inputs = _denoise_inputs(resolved, prepared, structured(resolved, prepared, bare, model), model)
        hooks = reporting(report, model.backbone.sigmas(inputs.steps), _masking(resolved, inputs, model))
        latents = resolved.method(replace(inputs, **hooks), model.backbone)
    with stage(Stage.DECODE, watch) as report:
        decoded = model.backbone.decode(latents, report)[: len(prepared.clip)]
    return Edited(resolved, prepared, decoded, _record(resolved, prepared, model))


def write(edited: Edited, target: Path, watch: ProgressCallback = no_progress, *, overwrite: bool = False) -> Edited:
    """Writes the edited clip at its source's own size, with its sound; outside the mask the source's own pixels."""
    resolved, clip = edited.resolved, edited.prepared.clip
    source, mask, strength = _file(resolved), resolved.mask, resolved.outlines
    parts = repeat(None) if mask is None else mask.frames(clip.first, len(clip))
    with (
        stage(Stage.WRITE, watch) as report,
        writing(target, source, resolved.stretch, record=edited.record.to_json(), overwrite=overwrite) as writer,
    ):
        wholes = frames(source, resolved.stretch)
        for done, (small, whole, part) in enumerate(zip(edited.frames, wholes, parts, strict=False)):
            report(done, len(clip))
            pixels = enlarged(small, whole.pixels, strength)
            writer.add(pixels if part is None else composited(pixels, whole.pixels, part), like=whole)
        notes = writer.notes
    return replace(edited, notes=notes)


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


def _check_adapters(request: Request, model: Model) -> None:
    if request.adapters != model.adapters:
        asked, held = (
            ", ".join(f"{path}:{weight:g}" for path, weight in each) for each in (request.adapters, model.adapters)
        )
        raise RequestError(
            f"the edit names adapters ({asked or 'none'}) and the model was loaded with {held or 'none'}"
        )


def _tokens(inputs: tuple[ContentInput, ...], resolved: ResolvedEdit, model: Model) -> Tokens:
    return model.backbone.encode_content(inputs, seed=resolved.seed) if inputs else model.backbone.null_tokens()


def structured(resolved: ResolvedEdit, prepared: Prepared, condition: Condition, model: Model) -> Condition:
    """The condition with the clip's structures, as the network reads them."""
    if not prepared.structures:
        return condition
    structures = [
        replace(structure, detail=resolved.detail, weight=named.weight, within=named.within)
        for structure, named in zip(prepared.structures, resolved.structures, strict=True)
    ]
    return model.backbone.with_structures(condition, structures, resolved.steps)


def _denoise_inputs(resolved: ResolvedEdit, prepared: Prepared, condition: Condition, model: Model) -> DenoiseInputs:
    source = None
    if resolved.method.needs_source:
        own = (
            _tokens(resolved.shown, resolved, model)
            if resolved.shown
            else model.backbone.source_content(prepared.clip.frames)
        )
        source = replace(condition, cond=own, negative=None, words=model.backbone.prompt_tokens(resolved.shown))
    return DenoiseInputs(
        clip=prepared.clip,
        condition=condition,
        sampler=resolved.sampler,
        steps=resolved.steps,
        cfg_scale=resolved.cfg_scale,
        ensemble=resolved.ensemble,
        window=latent_count(resolved.window, model.backbone.temporal_stride),
        temporal_stride=model.backbone.temporal_stride,
        seed=resolved.seed,
        source=source,
    )


def _masking(resolved: ResolvedEdit, inputs: DenoiseInputs, model: Model) -> StepHook:
    if resolved.mask is None:
        return unchanged
    clip = inputs.clip
    latents = model.backbone.encode(clip.frames)
    size, stride = (latents.shape[-2], latents.shape[-1]), model.backbone.temporal_stride
    edited = resolved.mask.at(size, clip.first, len(clip), stride)
    return blend_source(latents, inputs.noise(latents), (1 - edited).to(latents))


def _record(resolved: ResolvedEdit, prepared: Prepared, model: Model) -> Record:
    worked = resolved.facts | {
        "frames": len(prepared.clip),
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    notes = resolved.source.notes if isinstance(resolved.source, Source) else ()
    notes += spacing_note(prepared.clip, model)
    return Record.made(resolved.request, model_digest=model.digest, worked=worked, notes=notes)
