"""Motion carried over to another subject by how features change over time: DMT, arXiv:2311.17009."""

import re
from dataclasses import dataclass, replace
from math import hypot
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.excerpt import in_turn
from recast.errors import RequestError
from recast.methods.keyframed import check_latents
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, InvertedInputs, in_windows
from recast.networks.motion_features import FrameMeans, MeanFeatures, motion_loss
from recast.types import Latents

SITES = re.compile(r"up_blocks\.1\.(?:resnets|attentions)\.1")
"""In the decoder: a residual block and the transformer behind it, each with its layer over time."""


@dataclass(frozen=True, kw_only=True)
class DMT(InversionKnobs, ContentGuidanceKnobs):
    """Denoises to the wanted content while means of features change from frame to frame as the source's do.

    arXiv:2311.17009, sections 4.1 and 4.2. The walk starts from the inverted clip with new fine detail. At each of the
    first levels the latents are moved by Adam, down the gradient of the mean, over all pairs of frames, of 1 - cosine
    between the differences of the two frames' features, averaged over places, in the edit and in the source's inverted
    latents of that level. Shapes and places are free, so the new subject may have another build. For networks with
    layers over time (ModelScope, ZeroScope). Network evaluations of a step: 2 to invert, 2 to edit, and for each guided
    step 1 and `iterations`, with gradients.

    Differs: features are those after a residual block and a transformer, each with its layer over time, where the
    published code also takes those of single attention layers in them; the start keeps the clip's own fine detail,
    which at the top level is a fifteenth of the noise's. Windows are compared with each other, so memory is that of
    all, with gradients.
    """

    paper: ClassVar[str] = "DMT, arXiv:2311.17009"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FRAME_LATENTS})

    moved_until: UnitInterval = 0.4
    """The share of the steps, from the first on, at which latents are moved; 0 is the inverted clip under new words."""
    iterations: Annotated[int, Field(ge=0, le=200)] = 10
    """Of Adam, at each such step."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.007
    """Adam's, in deviations of the noisy latents; it falls evenly to 4 / 7 of that over the guided steps."""
    coarse: Annotated[int, Field(ge=1, le=64)] = 4
    """What of the inverted clip the walk starts from: detail coarser than so many latents; 1 is all of it."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents.

        Raises RequestError without a source, or for a network without these layers; see `check_latents`.
        """
        self.check_ensemble(inputs)
        check_latents(backbone)
        look, edit = (
            in_windows(inputs, backbone, self.guided_branches(inputs, backbone, backbone.denoise_branches, scale))
            for scale in (1.0, inputs.cfg_scale)
        )
        inverted = self.inverted(inputs, backbone, look)
        sigmas, trajectory = inverted.inversion.sigmas, inverted.inversion.trajectory
        if len(sigmas) == 1:
            return inverted.walked(edit)
        guide, top = MotionGuide(self, backbone, look, inverted), trajectory[0]
        known = top - backbone.encode(inputs.clip.frames)
        fresh = top + fine(sigmas[0] * inputs.noise(top) - known, self.coarse)
        start = guide(fresh, sigmas[0])
        moved = replace(inverted, inversion=replace(inverted.inversion, trajectory=[start, *trajectory[1:]]))
        return moved.walked(edit, in_turn(guide, inputs.step_hook))


@dataclass(frozen=True, eq=False)
class MotionGuide:
    """A step hook that moves latents until their features change over time as the source's. look: without guidance."""

    knobs: DMT
    backbone: Backbone
    look: Denoiser
    inverted: InvertedInputs

    def __call__(self, x: Latents, sigma: float, /) -> Latents:
        """The latents at a level just reached; as they are below the levels that are guided."""
        sigmas, until = self.inverted.inversion.sigmas, self.inverted.level(self.knobs.moved_until)
        guided = [level for level in sigmas if level > until]
        if sigma not in guided or not self.knobs.iterations or len(x) == 1:
            return x
        with torch.no_grad():
            source = self.means(self.inverted.inversion.at(sigma), sigma, of_source=True)
        share = guided.index(sigma) / max(1, len(guided) - 1)
        unit = hypot(1, sigma)
        with torch.enable_grad():
            moved = (x.detach() / unit).requires_grad_()
            adam = torch.optim.Adam([moved], lr=self.knobs.rate * (1 - share * 3 / 7))
            for _ in range(self.knobs.iterations):
                adam.zero_grad()
                motion_loss(self.means(moved * unit, sigma), source).backward()
                adam.step()
        return moved.detach() * unit

    def means(self, x: Latents, sigma: float, *, of_source: bool = False) -> FrameMeans:
        """Of features of a clip's latents. Raises RequestError for a network without these layers."""
        kept = MeanFeatures(SITES)
        with self.backbone.hooked(kept):
            self.look(x, sigma, self.inverted.source if of_source else self.inverted.inputs.condition)
        if not kept.rows:
            raise RequestError("the model's network lacks the layers whose features the method compares")
        return kept.means


def fine(x: Latents, factor: int) -> Latents:
    """What of latents is finer than so many of them; nothing for a factor of 1."""
    return x - _coarse(x, factor) if factor > 1 else torch.zeros_like(x)


def _coarse(x: Latents, factor: int) -> Latents:
    rows, columns = x.shape[-2:]
    small = [max(1, rows // factor), max(1, columns // factor)]
    down = F.interpolate(x, small, mode="bilinear", align_corners=True, antialias=True)
    return F.interpolate(down, [rows, columns], mode="bilinear", align_corners=True, antialias=True)
