"""What an edit would cost: a method walked through with a network that answers nothing, and its questions counted."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

import torch
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.editing.loaded import Model
from recast.editing.prepared import Prepared
from recast.editing.request import Request
from recast.editing.resolve import ResolvedEdit, resolve
from recast.editing.stages import generate
from recast.errors import RecastError, RecastWarning
from recast.evaluation.metrics.cost import Evaluations, counted
from recast.methods import METHODS
from recast.methods.flatten import FinestGrid
from recast.methods.needs import lacking
from recast.networks.box_energy import BoxedWords
from recast.networks.hooks import Hook
from recast.networks.recorded_attention import RecordAttention
from recast.networks.recorded_features import RecordFeatures
from recast.progress import Report, unreported
from recast.types import Clip, ClipLatents, Condition, Frames, Latents, Structure, Tokens, latent_count

SIDE = 64
"""Least rows and columns of the clip that is walked through."""
FAR = 1e4
"""From what a fit is to reach."""


@dataclass(frozen=True)
class MethodCost:
    """What one method does on one model. steps: of a full walk.

    evaluations: of the network, each branch of each call, at most: a fit of null tokens may be done before its last
    iteration. frame_evaluations: how many of them one frame is in; a grid of frames is one evaluation, in which each of
    them is. gradients: how many of the evaluations a pass backward may follow. refusal: why the model cannot do it;
    then no count.

    Left out is what no network is evaluated for: depth, optical flow, encoding and decoding, and what a hook computes
    within an evaluation, such as FRESCO's steps of Adam on features.
    """

    steps: int
    evaluations: int = 0
    frame_evaluations: float = 0.0
    gradients: int = 0
    refusal: str = ""


def dry_run(method: str, model: Model, frames: int, steps: int | None = None) -> MethodCost:
    """The cost of an edit of so many frames with the method's defaults for the model; no network is evaluated.

    steps: None for the model's own number. Raises RequestError for an unknown method or a number that cannot be.
    """
    request = Request.asked(method=method, **({} if steps is None else {"steps": steps}))
    clip = blank_clip(frames, model.backbone.pixel_multiple)
    words, picture = (ContentInput(medium, "x") for medium in (Medium.WORDS, Medium.PICTURE))
    cond = (words, picture) if METHODS[method].pictures_apart else ()
    resolved = replace(resolve(request, model, clip), size=clip.size, cond=cond, shown=(words,))
    lacks = lacking(METHODS[method].needs, model.backbone)
    if lacks:
        return MethodCost(resolved.steps, refusal="; ".join(lacks))
    try:
        evaluations = walked(resolved, model, clip)
    except RecastError as error:
        return MethodCost(resolved.steps, refusal=str(error))
    places = unanswered(model.backbone, clip).encode(clip.frames).numel()
    return MethodCost(resolved.steps, evaluations.count, evaluations.numbers / places, evaluations.gradients)


def walked(resolved: ResolvedEdit, model: Model, clip: Clip) -> Evaluations:
    """What an edit of this clip, which may be smaller than the edit's, asks of a network that answers nothing."""
    kinds = sorted(model.backbone.structure_kinds & {named.kind for named in resolved.structures})
    maps = torch.zeros(len(clip), 1, *clip.size)
    prepared = Prepared(clip, tuple(Structure(kind, maps) for kind in kinds))
    counting, evaluations = counted(unanswered(model.backbone, clip))
    with warnings.catch_warnings(action="ignore", category=RecastWarning):
        generate(resolved, prepared, replace(model, backbone=counting))
    return evaluations


@dataclass(frozen=True, eq=False)
class SilentNetworks:
    """The networks of a backbone, answering zero at once: latents, frames, predictions and tokens of the right shape.

    like: one frame's latents. factor: pixels a latent is wide. Hooks are not called; those that record are given a
    place, for methods that check that something was recorded.
    """

    like: Latents
    factor: int
    stride: int
    tokens: Tokens
    hooks: list[Hook] = field(default_factory=list)

    def encode(self, pixels: Tensor) -> Latents:
        """Of frames, or of pixels."""
        rows, columns = (side // self.factor for side in pixels.shape[-2:])
        return self.like.new_zeros(latent_count(len(pixels), self.stride), self.like.shape[1], rows, columns)

    def decode_pixels(self, latents: Latents) -> Tensor:
        """All of one grey, with a gradient."""
        rows, columns = (side * self.factor for side in latents.shape[-2:])
        return latents.new_zeros(1 + self.stride * (len(latents) - 1), 3, rows, columns) + 0 * latents.sum()

    def decode(self, latents: ClipLatents, _report: Report = unreported) -> Frames:
        """All black."""
        return self.decode_pixels(latents).detach().to("cpu", torch.uint8)

    def denoise_branches(self, x: Latents, sigma: float, _: Condition, branches: Sequence[Branch]) -> list[Latents]:
        """Zeros, with a gradient; far from zeros where tokens are fitted, so that no fit is done early."""
        for hook in self.hooks:
            _given_place(getattr(hook, "hook", hook), sigma, (x.shape[-2], x.shape[-1]))
        tokens = [branch.tokens for branch in branches]
        return [0 * x + (FAR + 0 * each.sum() if each.requires_grad else 0) for each in tokens]

    def encode_content(self, _inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """Tokens of their own for each content: branches of different contents are evaluated apart."""
        return self.tokens.clone() + 0 * seed

    @contextmanager
    def hooked(self, *given: Hook) -> Iterator[None]:
        """Knows the hooks inside the block."""
        self.hooks.extend(given)
        try:
            yield
        finally:
            del self.hooks[len(self.hooks) - len(given) :]


def unanswered(backbone: Backbone, clip: Clip) -> Backbone:
    """A copy of the backbone with silent networks, for clips of this one's size; the first one is unchanged."""
    like = backbone.encode(clip.frames[:1])
    factor, tokens = clip.size[0] // like.shape[-2], backbone.null_tokens()
    answers, silent = SilentNetworks(like, factor, backbone.temporal_stride, tokens), copy(backbone)
    for name in ("encode", "decode_pixels", "decode", "denoise_branches", "encode_content", "hooked"):
        object.__setattr__(silent, name, getattr(answers, name))
    object.__setattr__(silent, "encode_pixels", answers.encode)
    object.__setattr__(silent, "null_tokens", tokens.clone)
    return silent


def _given_place(hook: object, sigma: float, grid: tuple[int, int]) -> None:
    place = ("dry run", sigma, 0)
    if isinstance(hook, RecordAttention):
        hook.calls.setdefault(place, {})
    if isinstance(hook, RecordFeatures):
        hook.kept.setdefault(place, {})
    if isinstance(hook, BoxedWords):
        hook.energies.append(torch.zeros(()))
    if isinstance(hook, FinestGrid):
        hook.grids.add(grid)


def blank_clip(frames: int, multiple: int) -> Clip:
    """A small clip of so many frames, all alike, to walk through. multiple: of its sides."""
    side = multiple * ceil(SIDE / multiple)
    rng = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (1, 3, side, side), generator=rng, dtype=torch.uint8)
    return Clip(drawn.expand(frames, -1, -1, -1).contiguous(), Fraction(8))
