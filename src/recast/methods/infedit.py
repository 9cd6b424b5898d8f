"""Consistency sampling of the difference of two denoisers: InfEdit, arXiv:2312.04965."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import truncated
from recast.methods.difference import DenoiserPair, DifferenceKnobs, Step
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class InfEdit(DifferenceKnobs):
    """Makes the edit anew at each level from what two denoisers see differently: virtual inversion (DDCM).

    arXiv:2312.04965, algorithm 2. The denoising diffusion consistent model has all of its variance in fresh noise, so
    the noise that would lead to the source is known at each level, and no inversion is needed. With D the prediction
    of the clean latents and delta = edit - source, the algorithm comes to

        delta = D(source + delta + sigma n | target) - D(source + sigma n | source)

    at each level, with noise n drawn anew and shared by both predictions. That is FlowEdit with nothing kept of the
    delta before: the two are the same for a walk of one step. Network evaluations of a frame: 3 a step, of which the
    source's prediction is 1. Needs no hooks and runs over any parameterization; its walk is its own, so the scheduler
    does not matter.

    Differs: the unified control of attention maps is left out; the network need not be a consistency model, for which
    the paper's defaults (12 steps) were chosen.
    """

    paper: ClassVar[str] = "InfEdit, arXiv:2312.04965"
    needs: ClassVar[frozenset[Need]] = frozenset()

    strength: UnitInterval = 1.0
    """The share of the steps that are taken, those at the clean end; 0 gives the source back."""
    source_guidance: Annotated[float, Field(ge=0, le=30)] = 1.0
    """Classifier-free guidance of the source's prediction; 1 is none, and the paper's."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or without a source."""
        own, wanted = (self.denoiser(inputs, backbone, scale) for scale in (self.source_guidance, inputs.cfg_scale))
        pair = DenoiserPair.of(inputs, backbone.encode(inputs.clip.frames), own, wanted)
        return pair.walk(truncated(backbone.sigmas(inputs.steps), self.strength), partial(_virtual_inversion, pair))


def _virtual_inversion(pair: DenoiserPair, delta: Latents, step: Step) -> Latents:
    before, after = pair.predictions(delta, step.sigma, step.number)
    return after - before
