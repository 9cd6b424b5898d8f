"""Editing by the difference of two denoisers, held to the source at its end: FlowAlign, arXiv:2505.23145."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import truncated
from recast.methods.difference import DenoiserPair, DifferenceKnobs, Step
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class FlowAlign(DifferenceKnobs):
    """FlowEdit with a term that holds the end of the walk to the source, and guidance away from the source's content.

    arXiv:2505.23145, section 3. With p the noised edit, q the source under the same noise, D the prediction of the
    clean latents and zeta the terminal weight, delta = edit - source follows

        d delta / d sigma = (delta - (D(p | target) - D(q | source)) + zeta (D(p | source) - D(q | source))) / sigma

    by Euler's method: where the source's own content sees edit and source come apart, they are drawn together, which
    makes the trajectory smooth. D(p | target) is guided away from the source's content, as the paper does, so that the
    source's prediction is guided by nothing. At zeta = 0 it is FlowEdit with that guidance; at zeta = 1 without
    guidance the source's prediction drops out, and what is left is the difference of contents at p, as in delta
    denoising score. Network evaluations of a frame: 4 a step, 3 at zeta = 0. Needs no hooks and runs over any
    parameterization; its walk is its own, so the scheduler does not matter.

    Differs: the term is weighed by the length of the step, not by a constant (.01) a step, so that the number of steps
    does not change it; the guided prediction and the term's are evaluated apart, 4 evaluations in place of 3. In the
    published code the term's prediction at p is the guided one.
    """

    paper: ClassVar[str] = "FlowAlign, arXiv:2505.23145"
    needs: ClassVar[frozenset[Need]] = frozenset()

    strength: UnitInterval = 1.0
    """How high the noise goes, as the share of the steps that are taken; 0 gives the source back."""
    terminal: UnitInterval = 0.3
    """Zeta, how strongly the end is held to the source: more keeps its structure, 0 follows the content."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or without a source."""
        plain, guided = (self.denoiser(inputs, backbone, scale) for scale in (1.0, inputs.cfg_scale))
        pair = DenoiserPair.of(inputs, backbone.encode(inputs.clip.frames), plain, guided).against_source()
        return pair.walk(truncated(backbone.sigmas(inputs.steps), self.strength), partial(self._aligned, pair))

    def _aligned(self, pair: DenoiserPair, delta: Latents, step: Step) -> Latents:
        before, after = pair.predictions(delta, step.sigma, step.number)
        difference = after - before
        if self.terminal:
            edit = pair.source + delta + pair.noise(step.sigma, step.number)
            difference -= self.terminal * (pair.from_source(edit, step.sigma, pair.own) - before)
        return step.euler(delta, difference)
