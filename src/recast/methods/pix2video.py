"""Frame after frame, each looking at the first and the one before, and pulled to it: Pix2Video, arXiv:2303.12688."""

from dataclasses import dataclass, field
from math import hypot
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.windows import windowed
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, in_windows, under_hooks
from recast.networks.attention_recipes import FrameBank, ReferenceAttention, first_and_previous
from recast.types import Condition, Latents

PUBLISHED_LATENTS = 4 * 64 * 64
"""Over which the published code takes the mean of the squared difference."""


@dataclass(frozen=True, kw_only=True)
class Pix2Video(InversionKnobs, ContentGuidanceKnobs):
    """Inverts each frame, and walks back with keys and values of the first frame and of the one before.

    arXiv:2303.12688, algorithm 1. In the first steps each frame's latents go down the gradient of its prediction's
    squared difference from the one before's. Needs attention hooks and gradients through the network; keeps the source
    by its depth, where the model reads it. Network evaluations of a frame: 2 a step to invert it, and 2 to edit it,
    with gradients in the first half. Frames go through one by one, so memory does not grow with the clip and windows
    do not matter. Draws nothing, so the seed changes nothing.

    Differs: all frames take a step before any takes the next, which is the same, for none looks ahead; the temporal
    layers of a network that has them are off; the gradient goes through the network, as in the paper, where the
    published code takes the derivative of the prediction for 1.
    """

    paper: ClassVar[str] = "Pix2Video, arXiv:2303.12688"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    pull: Annotated[float, Field(ge=0, le=10_000)] = 100.0
    """How strongly a frame is pulled to the one before, as published; 0 not at all."""
    pull_until: UnitInterval = 0.5
    """The share of the steps, from the first on, in which it is pulled."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source."""
        inverted = self.inverted(inputs, backbone, in_windows(inputs, backbone, self.images(inputs, backbone, 1.0)))
        first = inputs.clip.first
        attention = ReferenceAttention(
            first_and_previous(first, backbone.temporal_stride), FrameBank(frozenset({first}))
        )
        images = under_hooks(backbone, self.images(inputs, backbone, inputs.cfg_scale), attention)
        pulled = _Pulled(images, inverted.level(self.pull_until) if self.pull else torch.inf, first)

        def step_hook(x: Latents, sigma: float, /) -> Latents:
            return inputs.step_hook(x - self.pull / PUBLISHED_LATENTS * pulled.slopes(x, sigma), sigma)

        return inverted.walked(windowed(pulled, 1, 0), step_hook)


@dataclass(eq=False)
class _Pulled:
    """Predicts one frame after the other, and keeps the gradient of its squared difference from the one before."""

    denoise: Denoiser
    above: float
    first: int
    before: Tensor | None = None
    of_frames: list[tuple[float, Tensor]] = field(default_factory=list)

    def __call__(self, x: Latents, sigma: float, condition: Condition) -> Latents:
        assert condition.frames is not None, "the inputs number their frames"
        if condition.frames.tolist() == [self.first]:
            self.before, self.of_frames = None, []
        if self.before is None or sigma <= self.above:
            clean, slope = self.denoise(x, sigma, condition), torch.zeros_like(x)
        else:
            with torch.enable_grad():
                leaf = x.detach().requires_grad_()
                clean = self.denoise(leaf, sigma, condition)
                (slope,) = torch.autograd.grad((clean - self.before).square().sum(), [leaf])
        self.before = clean.detach()
        self.of_frames.append((sigma, slope))
        return self.before

    def slopes(self, x: Latents, sigma: float) -> Latents:
        """What x at the level just reached is lowered by: the paper's latents are mixed with noise, by either level."""
        parts = [hypot(1, asked) * hypot(1, sigma) * slope for asked, slope in self.of_frames]
        return torch.cat(parts) if parts else torch.zeros_like(x)
