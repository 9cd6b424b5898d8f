"""What a request comes to, for one model and one clip."""

import os
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from pydantic import TypeAdapter

from recast.conditions.content import ContentInput, Medium
from recast.conditions.vocabulary import unknown
from recast.diffusion.samplers import SAMPLERS
from recast.editing.loaded import Model
from recast.editing.mask import Mask
from recast.editing.request import Request, knobs_of, method_for
from recast.errors import MediaError, RecastWarning, RequestError
from recast.methods import METHODS, Method
from recast.types import Clip, Condition, DenoiseInputs, Tokens
from recast.video.encode import kind_of
from recast.video.output import is_folder
from recast.video.read import Source, Window
from recast.video.resize import resized, working_size

LEAST_DETAIL = 7.0
"""t_s at which outlines are so coarse that drawing the source's would undo the edit."""


def check_inputs(request: Request) -> None:
    """Finds what is wrong before anything slow: raises MediaError for a missing file, RequestError for no content."""
    missing = [
        path for path in (request.mask, *(path for path, _ in request.pictures)) if path and not Path(path).exists()
    ]
    if missing:
        raise MediaError(f"there is no such file: {missing[0]}")
    if not (request.words or request.pictures):
        raise RequestError('nothing says what the clip should look like; write -p "a snowy field" or --image FILE')


def check_target(request: Request) -> Path:
    """The result's path, when a clip may be written to it. Raises RequestError when not."""
    target = free_target(request)
    if not is_folder(target):
        kind_of(target)
    return target


def free_target(request: Request) -> Path:
    """The result's path, when it may be written to. Raises RequestError when it may not."""
    target, source = request.target, request.source
    if target is None:
        raise RequestError("the request has no target; say where the result goes")
    if source is not None and target.exists() and source.exists() and os.path.samefile(source, target):
        raise RequestError(f"{target} is the source itself; choose another name with -o")
    if target.exists() and not request.overwrite and not (target.is_dir() and not any(target.iterdir())):
        raise RequestError(f"{target} is already there; replace it with -y, or choose another name with -o")
    if not is_folder(target) and not target.absolute().parent.is_dir():
        raise RequestError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    return target


def source_of(request: Request) -> Path:
    """The clip's path. Raises MediaError where there is none."""
    if request.source is None:
        raise MediaError("the request names no source file; give one, as in --set source=FILE")
    return request.source


def window_of(request: Request) -> Window:
    """The stretch of the source, at its own size."""
    return Window(start=request.start, end=request.stop, max_frames=request.max_frames)


def chosen_size(request: Request, source: Source | Clip, model: Model) -> tuple[int, int]:
    """Rows and columns to work at. Raises RequestError for a size that the model cannot take."""
    multiple = model.backbone.pixel_multiple
    if isinstance(request.size, tuple):
        columns, rows = request.size
        if rows % multiple or columns % multiple:
            near = "x".join(str(max(1, round(side / multiple)) * multiple) for side in request.size)
            raise RequestError(
                f"size {columns}x{rows}: {model.name} takes sides that are multiples of {multiple}, such as {near}"
            )
        return rows, columns
    rows, columns = source.size
    aspect = source.sample_aspect if isinstance(source, Source) else Fraction(1)
    return working_size((rows, max(1, round(columns * aspect))), request.size or model.backbone.short_side, multiple)


def clip_at(clip: Clip, size: tuple[int, int]) -> Clip:
    """A clip from memory at the size to work at."""
    return Clip(resized(clip.frames, size), clip.fps, clip.first)


def contents(request: Request, model: Model) -> tuple[Tokens, Tokens]:
    """What is wanted and what is not, as tokens. Warns of words that the model does not know."""
    wanted = _said(Medium.WORDS, request.words) + _said(Medium.PICTURE, request.pictures)
    unwanted = _said(Medium.WORDS, request.negative)
    _warn_of_unknown([each.text for each in wanted + unwanted if each.medium is Medium.WORDS], model)
    return _tokens(wanted, request, model), _tokens(unwanted, request, model)


def source_tokens(request: Request, clip: Clip, model: Model) -> Tokens:
    """The clip's own content as tokens: the source prompt where there is one, else what its frames show."""
    if request.source_prompt:
        return _tokens(_said(Medium.WORDS, request.source_prompt), request, model)
    return model.backbone.source_content(clip.frames)


def _tokens(inputs: list[ContentInput], request: Request, model: Model) -> Tokens:
    return model.backbone.encode_content(inputs, seed=request.seed) if inputs else model.backbone.null_tokens()


def shot_of(request: Request, clip: Clip, condition: Condition, model: Model) -> DenoiseInputs:
    """The edit, ready to denoise."""
    metadata = model.folder.metadata
    usual = {"steps": metadata.steps, "cfg": metadata.cfg_scale, "ensemble": metadata.ensemble}
    usual |= metadata.method_defaults.get(request.method, {})
    return DenoiseInputs(
        clip=clip,
        condition=condition,
        sampler=SAMPLERS[request.scheduler],
        steps=int(usual["steps"]) if request.steps is None else request.steps,
        cfg_scale=usual["cfg"] if request.cfg is None else request.cfg,
        ensemble=int(usual["ensemble"]) if request.ensemble is None else request.ensemble,
        window=metadata.window,
        seed=request.seed,
    )


def with_method(request: Request, model: Model) -> Request:
    """The request with the method that is meant: the model's own for auto. Raises RequestError for knobs of another."""
    name = method_for(request, model.folder.metadata.method)
    return replace(request, method=name)


def method_of(request: Request, model: Model) -> Method:
    """The method with its knobs: those of the request, then the model's own for it, then the method's defaults."""
    usual = model.folder.metadata.method_defaults.get(request.method, {})
    own = {name: value for name, value in usual.items() if name in knobs_of(request.method)}
    return TypeAdapter(METHODS[request.method]).validate_python(own | request.knobs)


def mask_of(request: Request, size: tuple[int, int]) -> Mask | None:
    """The request's mask for frames of `size` rows and columns; None where all of the clip is edited."""
    if request.mask is None:
        return None
    return Mask(request.mask, size, inside=request.edit == "inside", feather_px=request.feather)


def enlargement(request: Request) -> float:
    """How strongly the source's outlines are drawn into the enlarged result, 1 fully to 0 not at all.

    It falls with t_s: what was asked to lose its outlines must not get them back.
    """
    return 0.0 if request.enlarge == "plain" else 1 - request.structure_detail / LEAST_DETAIL


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch, OpenCV or Python say that memory is short."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return any(sign in said for sign in ("can't allocate memory", "out of memory", "insufficient memory"))


def _said(medium: Medium, each: tuple[tuple[str, float], ...]) -> list[ContentInput]:
    return [ContentInput(medium, text, weight) for text, weight in each]


def _warn_of_unknown(texts: list[str], model: Model) -> None:
    strange = unknown(" ".join(texts), model.folder.known_words)
    if not strange:
        return
    named = ", ".join(f"{word} (near: {', '.join(near)})" if near else word for word, near in strange.items())
    warnings.warn(f"{model.name} does not know: {named}", RecastWarning, stacklevel=2)
