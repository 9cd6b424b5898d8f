"""Structure, attention to all frames, and smoothing of every other frame: ControlVideo, arXiv:2305.13077."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.propagation import midpoint
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.schedule import finish, truncated
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import from_shared_noise, under_hooks
from recast.networks.attention_recipes import ExtendedAttention, FrameBank, ReferenceAttention, anchored
from recast.types import Condition, Latents


@dataclass(frozen=True, kw_only=True)
class ControlVideo(ContentGuidanceKnobs):
    """Makes the clip anew from noise that its frames share, given its structure, each frame attending to all of them.

    Zhang et al., arXiv:2305.13077. At two steps, every other frame of the prediction is replaced by what lies between
    its neighbours (interleaved-frame smoother). A clip longer than a window is made by key frames, which attend to each
    other, and the frames between two of them, which attend to those two (hierarchical sampler). Needs attention hooks,
    and a model that reads a structure, or a strength below 1. Network evaluations of a frame: 2 a step; key frames are
    asked once, and two steps decode and encode all frames.

    Differs: the picture between two frames is warped from both along half of their optical flow (DIS), where the paper
    has an interpolation network (RIFE); nothing is added to the prompts; `strength` can start from the source; temporal
    layers of the network stay on.
    """

    paper: ClassVar[str] = "ControlVideo, arXiv:2305.13077"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})
    needs_source: ClassVar[bool] = False
    ensembles: ClassVar[bool] = False

    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""
    temporal_guidance: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Temporal guidance, omega_t of Gen-1's equation 8: 1 is none. As measured on pocket, less flickers; 1.5 makes
    neighbouring frames more alike from 12 steps on, not at 4, and they follow the motion less exactly at any number of
    steps; 2 costs colours and, from 12 steps on, outlines."""
    smooth_at: UnitInterval = 0.4
    """The share of a full walk that is left where frames are smoothed, in this step and the next; 0 never does."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError where nothing of the source would be left."""
        self.check_ensemble(inputs)
        all_sigmas = backbone.sigmas(inputs.steps)
        sigmas = truncated(all_sigmas, self.strength)
        start = from_shared_noise(inputs, backbone, self.strength, sigmas[0])
        left = round(self.smooth_at * (len(all_sigmas) - 1))
        smoother = _Smoother(backbone, dict(zip(all_sigmas[::-1][left : max(left - 2, 0) : -1], (1, 2), strict=False)))
        denoise = smoother.watching(self._hierarchical(inputs, backbone))

        def step_hook(x: Latents, sigma: float, /) -> Latents:
            return inputs.step_hook(smoother.smoothed(x, sigma), sigma)

        return finish(inputs.sampler(denoise, start, sigmas, inputs.condition, step_hook=step_hook), sigmas[-1])

    def _hierarchical(self, inputs: DenoiseInputs, backbone: Backbone) -> Denoiser:
        size = max(min(inputs.window, backbone.max_frames), 2)
        asked = backbone.denoise_branches
        video = self.guided_branches(inputs, backbone, asked, inputs.cfg_scale, self.temporal_guidance)
        together = under_hooks(backbone, video, ExtendedAttention())

        def hierarchical_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
            if len(x) <= size:
                return together(x, sigma, condition)
            keys = key_frames(len(x), size)
            numbers = inputs.clip.latent_frames(backbone.temporal_stride)[keys].tolist()
            bank, clean = FrameBank(frozenset(numbers)), torch.empty_like(x)
            among_keys = under_hooks(backbone, video, ReferenceAttention(anchored(*numbers), bank))
            clean[keys] = among_keys(x[keys], sigma, condition.at(torch.tensor(keys)))
            for around, ends in zip(pairwise(keys), pairwise(numbers), strict=True):
                between = ReferenceAttention(anchored(*ends), bank)
                inner = torch.arange(around[0] + 1, around[1])
                for picks in inner.split(size) if len(inner) else ():
                    clean[picks] = under_hooks(backbone, video, between)(x[picks], sigma, condition.at(picks))
            return clean

        return hierarchical_denoise


def key_frames(count: int, window: int) -> list[int]:
    """The first and the last frame and some between, a window or more apart, and no more of them than a window."""
    step = max(window - 1, ceil((count - 1) / (window - 1)))
    return [*range(0, count - 1, step), count - 1]


@dataclass(eq=False)
class _Smoother:
    """Replaces frames of a prediction. levels: where, and from which frame on, 1 or 2, every other one is replaced."""

    backbone: Backbone
    levels: dict[float, int]
    asked: float = 0.0
    change: Latents | None = None

    def watching(self, denoise: Denoiser) -> Denoiser:
        """The denoiser as it is; what smoothing would change in its prediction is kept."""

        def watched_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
            clean = denoise(x, sigma, condition)
            if sigma in self.levels:
                self.asked, self.change = sigma, self._change(clean, self.levels[sigma])
            return clean

        return watched_denoise

    def smoothed(self, x: Latents, sigma: float) -> Latents:
        """The latents after a step down whose prediction is the smoothed one, and whose noise is as it was."""
        # Heun's sampler has asked at the level reached as well, which is smoothed when it is left.
        if self.change is None or self.asked <= sigma:
            return x
        change, self.change = self.change, None
        return x + change

    def _change(self, clean: Latents, first: int) -> Latents:
        change, frames = torch.zeros_like(clean), self.backbone.decode(clean)
        picks = torch.arange(first, max(len(frames) - 1, first), 2)
        frames[picks] = midpoint(frames[picks - 1], frames[picks + 1]).round().to(torch.uint8)
        if self.backbone.temporal_stride > 1:  # every latent has a frame that is replaced
            return self.backbone.encode(frames) - clean if len(picks) else change
        change[picks] = self.backbone.encode(frames[picks]) - clean[picks] if len(picks) else 0.0
        return change
