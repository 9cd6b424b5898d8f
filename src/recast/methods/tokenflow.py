"""Keyframes edited together, their tokens carried to the other frames: TokenFlow, arXiv:2307.10373."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from math import ceil
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from pydantic import Field
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import Inversion, nearest_level
from recast.diffusion.schedule import finish, truncated
from recast.diffusion.windows import windowed
from recast.errors import RequestError
from recast.methods.inverted import inverted
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.hooks import Attend, AttentionCall, SiteKind
from recast.networks.recorded_attention import RecordAttention
from recast.types import Condition, Latents, Picks

SELF = frozenset({SiteKind.SELF})


@dataclass(frozen=True, kw_only=True)
class TokenFlow(GuidanceKnobs):
    """Inverts the source, and at each step edits a few keyframes together and the other frames by their tokens.

    Keyframes attend to the places of all keyframes. In every layer of self-attention a place of another frame is given
    the answers of the places in the keyframes before and after that are most like it in the source (equations 4 and 5).

    Differs from the paper: no features of the source are injected; the two answers are weighted linearly by distance,
    so that a keyframe is given its own (the paper has a sigmoid, which always mixes); tokens are taken before the
    layer's output projection; temporal layers of the network stay on; keyframes are at most a window.
    """

    paper: ClassVar[str] = "TokenFlow, arXiv:2307.10373"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})
    needs_source: ClassVar[bool] = True
    ensembles: ClassVar[bool] = False

    strength: UnitInterval = 1.0
    """How high the source is inverted, as the share of the steps that are taken; 0 gives the source back."""
    interval: Annotated[int, Field(ge=1, le=256)] = 8
    """Frames for each keyframe, which is drawn anew among them at every step; 1 edits all frames together."""
    refinements: Annotated[int, Field(ge=0, le=64)] = 1
    """How often each step of the inversion is made anew; more is nearer to the source and slower."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.apg_momentum:
            raise RequestError("tokenflow has other keyframes at each step and no use for apg_momentum; leave it out")

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or without a source."""
        if inputs.source is None:
            raise RequestError("tokenflow needs to know what the clip shows; say --source-prompt")
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        invert = self.denoiser(inputs, backbone, 1.0)
        inversion = inverted(inputs, backbone, invert, sigmas, refinements=self.refinements)
        denoise = self._propagated(inputs, backbone, inputs.source, inversion)
        x = inputs.sampler(denoise, inversion.trajectory[0], sigmas, inputs.condition, step_hook=inputs.step_hook)
        return finish(x, sigmas[-1])

    def _propagated(
        self, inputs: DenoiseInputs, backbone: Backbone, source: Condition, inversion: Inversion
    ) -> Denoiser:
        size, levels = min(inputs.window, backbone.max_frames), inversion.sigmas
        look = windowed(guided(backbone.denoise_branches, 1.0), size, 0)
        together = self.guided(inputs, backbone, inputs.cfg_scale)
        separately = self.denoiser(inputs, backbone, inputs.cfg_scale)

        def propagated_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
            keys = self._keyframes(len(x), size, inputs.seed, nearest_level(levels, sigma))
            seen, edited = (RecordAttention(parts=("answer",), kinds=SELF) for _ in range(2))
            with backbone.hooked(seen):
                look(inversion.at(sigma), sigma, source)
            with backbone.hooked(edited, ExtendedAttention()):
                together(x[keys], sigma, condition.at(keys))
            numbers = inputs.clip.latent_frames(backbone.temporal_stride)[keys]
            with backbone.hooked(PropagatedAttention(seen, edited, tuple(numbers.tolist()))):
                return separately(x, sigma, condition)

        return propagated_denoise

    def _keyframes(self, count: int, most: int, seed: int, level: int) -> Picks:
        """One frame drawn from each stretch: at least two keyframes, a lone one is an image; at most a window."""
        length = max(min(self.interval, ceil(count / 2)), ceil(count / most))
        rng = torch.Generator().manual_seed(seed * 1_000_003 + level)
        stretches = [range(first, min(first + length, count)) for first in range(0, count, length)]
        return torch.tensor([stretch[int(torch.randint(len(stretch), (), generator=rng))] for stretch in stretches])


@dataclass(frozen=True, eq=False)
class PropagatedAttention:
    """Answers with those of the keyframes, found by the likeness of the source's own answers. Equations 4 and 5."""

    source: RecordAttention
    edited: RecordAttention
    keys: tuple[int, ...]

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind in SELF

    def __call__(self, call: AttentionCall, _attend: Attend) -> Tensor:
        """The answer for the call's frames; a keyframe's is its own."""
        assert call.frames is not None, "backbones say which frames a pass has"
        edited = self.edited.part("answer", site=call.site, sigma=call.sigma, branch=call.branch, frames=self.keys)
        tokens, own = (self._tokens(call, frames) for frames in (self.keys, call.frames))
        return torch.stack([self._frame(*pair, tokens, edited) for pair in zip(call.frames, own, strict=True)])

    def _tokens(self, call: AttentionCall, frames: tuple[int, ...]) -> Tensor:
        return F.normalize(
            self.source.part("answer", site=call.site, sigma=call.sigma, branch=0, frames=frames), dim=-1
        )

    def _frame(self, frame: int, own: Tensor, tokens: Tensor, edited: Tensor) -> Tensor:
        last = len(self.keys) - 1
        before, after = max(bisect_right(self.keys, frame) - 1, 0), min(bisect_left(self.keys, frame), last)
        if self.keys[before] == frame:
            return edited[before]
        nearest = {key: edited[key][(own @ rearrange(tokens[key], "n e -> e n")).argmax(-1)] for key in (before, after)}
        apart = self.keys[after] - self.keys[before]
        share = (frame - self.keys[before]) / apart if apart else 0.0
        return torch.lerp(nearest[before], nearest[after], share)
