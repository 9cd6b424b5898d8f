"""Editing by the difference of two denoisers: FlowEdit, arXiv:2412.08629."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import finish, truncated
from recast.methods.difference import DenoiserPair, DifferenceKnobs, Step
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class FlowEdit(DifferenceKnobs):
    """Moves the clip by what a denoiser sees differently under the wanted content and under the clip's own.

    With D the prediction of the clean latents, delta = edit - source follows
    d delta / d sigma = (delta - (D(source + delta + sigma n | target) - D(source + sigma n | source))) / sigma
    by Euler's method, with noise n drawn anew at each step and shared by both predictions. What the network does not
    see differently stays as it is in the source. No inversion, no attention maps; any parameterization.

    Differs from the paper: `residual` may take less of the source's own detail (1 is the paper), and the clip's own
    content stands for the source prompt where the model reads pictures.
    """

    paper: ClassVar[str] = "FlowEdit, arXiv:2412.08629"
    needs: ClassVar[frozenset[Need]] = frozenset()

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

    @property
    def ignores(self) -> frozenset[str]:
        """The sampler, unless it walks the tail."""
        return frozenset() if self.tail else super().ignores

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or without a source."""
        source = backbone.encode(inputs.clip.frames)
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        split = max(len(sigmas) - 1 - round(self.tail * inputs.steps), 0)
        target = self.denoiser(inputs, backbone, inputs.cfg_scale)
        pair = DenoiserPair.of(inputs, source, self.denoiser(inputs, backbone, self.source_guidance), target)
        edited = pair.walk(sigmas[: split + 1], partial(self._step, pair))
        if split == len(sigmas) - 1:
            return edited
        start = edited + sigmas[split] * inputs.noise(source)
        x = inputs.sampler(target, start, sigmas[split:], inputs.condition, step_hook=inputs.step_hook)
        return finish(x, sigmas[-1])

    def _step(self, pair: DenoiserPair, delta: Latents, step: Step) -> Latents:
        difference, lost = torch.zeros_like(delta), torch.zeros_like(delta)
        for which in range(self.noises):
            before, after = pair.predictions(delta, step.sigma, step.number * self.noises + which)
            difference += (after - before) / self.noises
            lost += (pair.source - before) / self.noises
        delta = step.euler(delta, difference)
        return delta - (1 - self.residual) * lost if step.sigma_next == 0 else delta
