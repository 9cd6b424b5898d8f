"""Editing by the difference of two denoisers: FlowEdit, arXiv:2412.08629."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.schedule import finish, truncated
from recast.errors import RequestError
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.types import Kind, Latents


@dataclass(frozen=True, kw_only=True)
class FlowEdit(GuidanceKnobs):
    """Moves the clip by what a denoiser sees differently under the wanted content and under the clip's own.

    With D the prediction of the clean latents, delta = edit - source follows
    d delta / d sigma = (delta - (D(source + delta + sigma n | target) - D(source + sigma n | source))) / sigma
    by Euler's method, with noise n drawn anew at each step and shared by both predictions. What the network does not
    see differently stays as it is in the source. No inversion, no attention maps; any parameterization.

    Differs from the paper: `residual` may take less of the source's own detail (1 is the paper), and the clip's own
    content stands for the source prompt where the model reads pictures.
    """

    needs: ClassVar[frozenset[Kind]] = frozenset()
    needs_source: ClassVar[bool] = True
    ensembles: ClassVar[bool] = False

    strength: UnitInterval = 1.0
    """How high the noise goes, as the share of the steps that are taken; 0 gives the source back."""
    source_guidance: Annotated[float, Field(ge=0, le=30)] = 1.0
    """Classifier-free guidance of the source's prediction; 1 is none."""
    noises: Annotated[int, Field(ge=1, le=64)] = 1
    """Noises averaged at each step (n_avg of the paper); more is slower and steadier."""
    tail: UnitInterval = 0.0
    """Share of the walk, at its clean end, that is plain sampling towards the target, as in SDEdit (n_min)."""
    residual: UnitInterval = 1.0
    """How much of the detail comes back that the network does not see in the source; less is smoother and steadier."""

    def __call__(self, shot: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or without a source."""
        if shot.source is None:
            raise RequestError("flowedit needs to know what the clip shows; say --source-prompt")
        source = backbone.encode(shot.clip.frames)
        sigmas = truncated(backbone.sigmas(shot.steps), self.strength)
        split = max(len(sigmas) - 1 - round(self.tail * shot.steps), 0)
        from_source = self.denoiser(shot, backbone, self.source_guidance)
        target = self.denoiser(shot, backbone, shot.cfg_scale)
        edited = self._difference_walk(shot, source, sigmas[: split + 1], (from_source, target))
        if split == len(sigmas) - 1:
            return edited
        start = edited + sigmas[split] * shot.noise(source)
        x = shot.sampler(target, start, sigmas[split:], shot.condition, step_hook=shot.step_hook)
        return finish(x, sigmas[-1])

    @torch.no_grad()
    def _difference_walk(
        self, shot: DenoiseInputs, source: Latents, sigmas: list[float], denoisers: tuple[Denoiser, Denoiser]
    ) -> Latents:
        from_source, target = denoisers
        assert shot.source is not None, "the caller has checked it"
        delta = torch.zeros_like(source)
        for step, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
            difference, lost = torch.zeros_like(source), torch.zeros_like(source)
            for which in range(self.noises):
                noise = sigma * shot.noise(source, 1 + step * self.noises + which)
                before = from_source(source + noise, sigma, shot.source)
                after = target(source + delta + noise, sigma, shot.condition)
                difference += (after - before) / self.noises
                lost += (source - before) / self.noises
            keep = sigma_next / sigma
            delta = keep * delta + (1 - keep) * difference
            if sigma_next == 0:
                delta -= (1 - self.residual) * lost
            delta = self._hooked(shot, source, delta, sigma_next)
        return source + delta

    def _hooked(self, shot: DenoiseInputs, source: Latents, delta: Latents, sigma: float) -> Latents:
        """The step hook sees latents with noise on them, as it does in every other walk."""
        noise = sigma * shot.noise(source)
        x = source + delta + noise
        answer = shot.step_hook(x, sigma)
        return delta if answer is x else answer - noise - source
