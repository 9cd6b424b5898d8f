"""The clip with the wanted content, as latents: contents as tokens, the method's inputs, and its walk."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from recast.backbones.acceleration import accelerated
from recast.backbones.video_control import VideoControl, VideoControlBackbone
from recast.conditions.blend import tokens_over
from recast.conditions.content import ContentInput, Medium
from recast.control import Motion
from recast.denoising import DenoiseInputs, StepHook, unchanged
from recast.diffusion.blend import blend_source
from recast.diffusion.excerpt import in_turn
from recast.editing.clip_guidance import clip_guided
from recast.editing.loaded import Model
from recast.editing.prepared import Prepared
from recast.editing.progress import reporting
from recast.editing.request import Request
from recast.editing.resolve import ResolvedEdit
from recast.errors import RequestError
from recast.methods.text_to_video import TextToVideo
from recast.progress import Report
from recast.types import Clip, Condition, Frames, Latents, Structure, Tokens, latent_count


@dataclass(frozen=True, eq=False)
class Contents:
    """What an edit is told to show, as tokens. negative: what guidance pushes away from, the null content if None.

    own: what the clip shows as it is, for methods that ask. pictured: the pictures alone, for methods that read them
    apart; `cond` is then the words alone. keyed: at the keys of a schedule of the content; `cond` is the first of them.
    """

    cond: Tokens
    negative: Tokens | None
    own: Tokens | None
    pictured: Tokens | None = None
    keyed: tuple[Tokens, ...] = ()


def encoded_contents(resolved: ResolvedEdit, model: Model) -> Contents:
    """The contents of an edit as tokens, where words tell them.

    Raises RequestError where the model was loaded with other adapters, and for a method that reads pictures apart from
    words where one of them is missing.
    """
    _check_adapters(resolved.request, model)
    keyed = () if resolved.keyed is None else tuple(_tokens(each, resolved, model) for each in resolved.keyed.contents)
    cond, pictured = (keyed[0], None) if keyed else _wanted(resolved, model)
    negative = _tokens(resolved.uncond, resolved, model) if resolved.uncond else None
    asks = resolved.method.needs_source and resolved.shown
    own = _tokens(resolved.shown, resolved, model) if asks else None
    return Contents(cond, negative, own, pictured, keyed)


def contents_of(contents: Contents, resolved: ResolvedEdit, frames: Frames, model: Model) -> Contents:
    """The same for one shot. frames: of it, which tell what it shows where no words do and the method asks."""
    if contents.own is not None or not resolved.method.needs_source:
        return contents
    return replace(contents, own=model.backbone.source_content(frames))


def denoised(
    resolved: ResolvedEdit,
    prepared: Prepared,
    contents: Contents,
    model: Model,
    report: Report,
    *,
    hold: Callable[[DenoiseInputs], StepHook] = lambda _inputs: unchanged,
) -> Latents:
    """The edited latents of a clip. hold: makes what has the last say after each step."""
    numbers = prepared.clip.latent_frames(model.backbone.temporal_stride)
    cond, words = contents.cond, model.backbone.prompt_tokens(resolved.cond)
    if resolved.keyed is not None:
        cond, words = tokens_over(resolved.keyed.keys, contents.keyed, numbers), None
    bare = Condition(cond, model.backbone.null_tokens(), negative=contents.negative, words=words)
    with model.in_force():
        condition = structured(resolved, prepared, bare, model)
        inputs = _denoise_inputs(resolved, prepared, condition, contents, model)
        last = in_turn(_masking(resolved, inputs, model), hold(inputs))
        inputs = clip_guided(inputs, resolved, model)
        hooks = reporting(report, model.backbone.sigmas(inputs.steps), last)
        with accelerated(model.backbone, resolved.request.attention, resolved.request.compiler):
            return resolved.method(replace(inputs, **hooks), model.backbone)


def _check_adapters(request: Request, model: Model) -> None:
    if request.adapters != model.adapters:
        asked, held = (
            ", ".join(f"{path}:{weight:g}" for path, weight in each) for each in (request.adapters, model.adapters)
        )
        raise RequestError(
            f"the edit names adapters ({asked or 'none'}) and the model was loaded with {held or 'none'}"
        )


def _wanted(resolved: ResolvedEdit, model: Model) -> tuple[Tokens, Tokens | None]:
    """The wanted content, and the pictures of it apart where the method reads them so."""
    if not resolved.method.pictures_apart:
        return _tokens(resolved.cond, resolved, model), None
    words, pictures = (
        tuple(each for each in resolved.cond if each.medium is medium) for medium in (Medium.WORDS, Medium.PICTURE)
    )
    if not (words and pictures):
        wrong = f"{resolved.request.method} takes the protagonist from a picture and the rest from words"
        raise RequestError(f"{wrong}, and {'a picture is' if words else 'words are'} missing; say both -p and --image")
    return _tokens(words, resolved, model), _tokens(pictures, resolved, model)


def _tokens(inputs: tuple[ContentInput, ...], resolved: ResolvedEdit, model: Model) -> Tokens:
    return model.backbone.encode_content(inputs, seed=resolved.seed) if inputs else model.backbone.null_tokens()


def structured(resolved: ResolvedEdit, prepared: Prepared, condition: Condition, model: Model) -> Condition:
    """The condition with the clip's structures, as the network reads them, and all else of a control video."""
    curve, clip = resolved.curves.get("structure_detail"), prepared.clip
    detail = resolved.detail if curve is None else curve.at(range(clip.first, clip.first + len(clip)))
    structures = [
        replace(structure, detail=detail, weight=named.weight, within=named.within)
        for structure, named in zip(prepared.structures, resolved.structures, strict=bool(prepared.structures))
    ]
    backbone = model.backbone
    if isinstance(backbone, VideoControlBackbone):
        return backbone.with_control_video(
            condition, _control_video(resolved, prepared.clip, structures), resolved.steps
        )
    return backbone.with_structures(condition, structures, resolved.steps) if structures else condition


def _control_video(resolved: ResolvedEdit, clip: Clip, structures: list[Structure]) -> VideoControl:
    """What a network reads that is told what of the clip is kept, and pictures."""
    mask = resolved.mask
    edited = None if mask is None else mask.at(clip.size, clip.first, len(clip))
    pictures = [each.text for each in resolved.cond if each.medium is Medium.PICTURE]
    moving = resolved.method.motion if isinstance(resolved.method, TextToVideo) else {}
    motion = Motion(fps=float(clip.fps), **moving)
    return VideoControl(clip.frames, structures, edited, pictures, resolved.seed, clip.first, motion)


def _denoise_inputs(
    resolved: ResolvedEdit, prepared: Prepared, condition: Condition, contents: Contents, model: Model
) -> DenoiseInputs:
    source = None
    if contents.own is not None:
        words = model.backbone.prompt_tokens(resolved.shown)
        first = condition.first and condition.first.of_source
        source = replace(condition, cond=contents.own, negative=None, words=words, references=None, first=first)
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
        pictured=contents.pictured,
        flow=resolved.flow,
        curves=resolved.curves,
        guides=resolved.guides,
    )


def _masking(resolved: ResolvedEdit, inputs: DenoiseInputs, model: Model) -> StepHook:
    if resolved.mask is None:
        return unchanged
    clip = inputs.clip
    latents = model.backbone.encode(clip.frames)
    size, stride = (latents.shape[-2], latents.shape[-1]), model.backbone.temporal_stride
    edited = resolved.mask.at(size, clip.first, len(clip), stride)
    return blend_source(latents, inputs.noise(latents), (1 - edited).to(latents))
