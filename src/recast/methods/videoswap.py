"""Semantic points that keep a subject's motion while another takes its place: VideoSwap, arXiv:2312.02087."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.conditions.semantic_points import PointPaths, SemanticPoints
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.guidance import guided
from recast.errors import RequestError
from recast.methods.keyframed import check_latents
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import (
    InversionKnobs,
    InvertedInputs,
    SourceHooks,
    beside_source,
    in_windows,
    under_hooks,
    wanted_first,
)
from recast.methods.words import BlendKnobs, local_blend, looked_at, word_places
from recast.networks.hooks import Hook, SiteKind
from recast.networks.recorded_features import LimitedHook, RecordFeatures
from recast.types import Latents

LOOKED_AT = 0.6
"""The noise level at which features tell what a point is: step 261 of 1,000 in Stable Diffusion (DIFT)."""
DECODER = re.compile(r"up_blocks\.[01]")
LEVELS = 100
"""Of a whole walk, from whose upper half levels are drawn to fit at."""


@dataclass(frozen=True, kw_only=True)
class VideoSwap(BlendKnobs, InversionKnobs, GuidanceKnobs):
    """Inverts the clip, and walks back to another subject while points keep where its parts are in each frame.

    arXiv:2312.02087. Each point is described by the network's own features (DIFT) along its path; perceptrons that make
    of it what is added to features at its place are fitted to the clip by the denoising loss at high noise levels. In
    the first part of the walk these are added with half their weight. With `blend_word` latents are the source's but
    where either word is looked at. The new subject is the prompt's, or an adapter's (`recast customize`). Needs hooks
    on features and gradients. Network evaluations of a frame: 2 a step to invert it, 1 to describe points and 1 and a
    backward pass for each iteration, 2 a step to edit it, 3 with words.

    Differs: points are given in the first frame and followed along optical flow (the paper: by a tracker, or by hand in
    keyframes), and cannot be dragged; what is added enters after each block on the way down; any backbone serves (the
    paper: AnimateDiff over Stable Diffusion); words' masks are of the level at hand, not of all before it.
    """

    paper: ClassVar[str] = "VideoSwap, arXiv:2312.02087"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True

    points: str = ""
    """Points of the subject in the first frame, "0.4,0.5; 0.6,0.45": shares of its width and height; none if not
    said."""
    point_weight: Annotated[float, Field(ge=0, le=2)] = 0.5
    """What is added for points is multiplied by it."""
    points_until: UnitInterval = 0.5
    """The share of the steps, from the first on, in which points act."""
    fit_iterations: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Of Adam, to fit what is added for points."""
    fit_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    """Its learning rate."""
    point_drop: UnitInterval = 0.2
    """The share of points that an iteration leaves out, at random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.placed

    @cached_property
    def placed(self) -> tuple[tuple[float, float], ...]:
        """The points. Raises RequestError for what is none."""
        return tuple(_point(each) for each in self.points.split(";") if each.strip())

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, and for words that are not in a prompt."""
        check_latents(backbone)
        theirs, ours = word_places(inputs, self.blend_word, self.edited_word)
        flow = ClipFlow.of(inputs.clip.frames, inputs.flow) if self.placed else None
        inverted = self.inverted(inputs, backbone, self.denoiser(inputs, backbone, 1.0))
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale, wanted_first(backbone.denoise_branches))
        look = in_windows(inputs, backbone, guided(backbone.denoise_branches, 1.0), self.overlap)
        acting = self._acting(inverted, backbone, look, flow) if flow else ()
        seen, made = looked_at(inverted, theirs, ours)
        if not (blend := [*seen, *made]):
            return inverted.walked(under_hooks(backbone, edit, *acting))
        beside = beside_source(
            backbone,
            edit,
            look,
            inverted,
            lambda: SourceHooks(seen, (*made, *acting), tuple(each.sums for each in seen)),
        )
        step_hook = local_blend(inverted, blend, self.blend_threshold, inverted.level(self.blend_from))
        return inverted.walked(beside, step_hook)

    def _acting(self, inverted: InvertedInputs, backbone: Backbone, look: Denoiser, flow: ClipFlow) -> tuple[Hook, ...]:
        """The points, fitted, as a hook."""
        inputs, clean = inverted.inputs, inverted.inversion.trajectory[-1]
        frames = inputs.condition.frames
        assert frames is not None, "the inputs number their frames"
        paths = PointPaths.followed(self.placed, flow, frames.tolist())
        record = RecordFeatures(kind=SiteKind.BLOCK, sites=DECODER)
        with torch.no_grad(), backbone.hooked(record):
            look(clean + LOOKED_AT * inputs.noise(clean), LOOKED_AT, inverted.source)
        features = record.kept[max(record.kept, key=lambda key: key[0])]
        embeddings = paths.embedded(torch.stack([features[frame] for frame in frames.tolist()]).float().cpu())
        points = SemanticPoints(embeddings.to(clean.device), paths, inputs.seed)
        self._fit(points, backbone, look, inverted)
        return (LimitedHook(hook=replace(points, weight=self.point_weight), above=inverted.level(self.points_until)),)

    @torch.enable_grad()
    def _fit(self, points: SemanticPoints, backbone: Backbone, look: Denoiser, inverted: InvertedInputs) -> None:
        """Fits the points' layers to the clip, in place."""
        inputs, clean = inverted.inputs, inverted.inversion.trajectory[-1]
        levels = backbone.sigmas(LEVELS)[: LEVELS // 2]
        generator, adam = torch.Generator().manual_seed(inputs.seed), None
        for number in range(self.fit_iterations):
            sigma = levels[int(torch.randint(len(levels), (1,), generator=generator))]
            kept = torch.rand(len(self.placed), generator=generator) >= self.point_drop
            x = clean + sigma * inputs.noise(clean, 1 + number)
            with backbone.hooked(replace(points, kept=kept.to(clean.device))):
                predicted = look(x, sigma, inverted.source)
            loss = ((predicted - clean) / sigma).square().mean()
            weights = [weight for both in points.layers.values() for weight in both]
            adam = adam or torch.optim.Adam(weights, lr=self.fit_rate)
            for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.grad = slope
            adam.step()


def _point(text: str) -> tuple[float, float]:
    try:
        right, down = map(float, text.split(","))
    except ValueError:
        raise RequestError(
            f"a point is {text.strip()!r}, which is none; say RIGHT,DOWN as shares of the frame"
        ) from None
    if not (0 <= right <= 1 and 0 <= down <= 1):
        raise RequestError(f"a point is {text.strip()}; it must lie in the frame, 0..1 from the left and from the top")
    return right, down
