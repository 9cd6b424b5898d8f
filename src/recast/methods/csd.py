"""Frames that are edited together by Stein's variational gradient: CSD, arXiv:2307.04787."""

from dataclasses import dataclass
from functools import partial
from math import log
from typing import Annotated, ClassVar

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import truncated
from recast.methods.difference import DenoiserPair, DifferenceKnobs, Step
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.types import Latents

Kernel = Float[Tensor, "t t"]


@dataclass(frozen=True, kw_only=True)
class CSD(DifferenceKnobs):
    """Moves each frame by the edits of all frames, those of similar frames most, so that they change alike.

    arXiv:2307.04787, sections 3.1 and 3.2. The frames are particles of Stein variational gradient descent with an RBF
    kernel k of median bandwidth. With the score difference of frame j between the wanted content and the source's,
    frame i moves by

        sum_j k(j, i) (D(z_j | target) - D(source_j | source) - delta_j) + repulsion sigma grad_j k(j, i)

    divided by sum_j k(j, i), times `rate`; delta = edit - source, D predicts clean latents, and both are asked under
    one noise. One frame alone follows delta denoising score; frames that are equal move by the mean of their edits.
    Network evaluations of a frame: 3 a step, times `repeats`. Needs no hooks; the scheduler does not matter.

    Differs: the backbone is told the contents of source and target in words, where the paper has InstructPix2Pix;
    levels fall over the walk, in place of timesteps drawn at random; the sum is divided by that of the kernel and not
    by the number of frames, so that the rate does not depend on it.
    """

    paper: ClassVar[str] = "CSD, arXiv:2307.04787"
    needs: ClassVar[frozenset[Need]] = frozenset()

    strength: UnitInterval = 0.5
    """How high the noise goes, as the share of the steps that are taken; 0 gives the source back."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.2
    """How far a frame moves in one update: 1 goes all the way to what the level asks for."""
    repeats: Annotated[int, Field(ge=1, le=64)] = 4
    """Updates at each level, each under noise of its own; more is slower and nearer to the wanted content."""
    repulsion: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How strongly frames are kept from becoming one, the gradient of the kernel; 1 is the paper's."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or without a source."""
        plain, guided = (self.denoiser(inputs, backbone, scale) for scale in (1.0, inputs.cfg_scale))
        pair = DenoiserPair.of(inputs, backbone.encode(inputs.clip.frames), plain, guided)
        return pair.walk(truncated(backbone.sigmas(inputs.steps), self.strength), partial(self._updates, pair))

    def _updates(self, pair: DenoiserPair, delta: Latents, step: Step) -> Latents:
        for repeat in range(self.repeats):
            before, after = pair.predictions(delta, step.sigma, step.number * self.repeats + repeat)
            moved = stein_direction(pair.source + delta, after - before - delta, self.repulsion * step.sigma)
            delta = delta + self.rate * moved
        return delta


def stein_direction(particles: Latents, scores: Latents, repulsion: float) -> Latents:
    """Each particle's mean of all scores by kernel, and the kernel's gradient away from the others. arXiv:1608.04471.

    Both are divided by the sum of the kernel over the particles.
    """
    kernel, bandwidth = rbf_kernel(particles)
    together = einsum(kernel, scores, "j i, j c y x -> i c y x")
    apart = rearrange(kernel.sum(0), "i -> i 1 1 1") * particles - einsum(kernel, particles, "j i, j c y x -> i c y x")
    return (together + repulsion * 2 / bandwidth * apart) / rearrange(kernel.sum(0), "i -> i 1 1 1")


def rbf_kernel(particles: Latents) -> tuple[Kernel, float]:
    """exp(-|z_j - z_i|^2 / h), and h: the median of the squared distances between two, over the log of their number.

    At the median distance the kernel is 1 / t. One particle, and particles that are all equal, have h = 1.
    """
    flat = rearrange(particles, "t c y x -> t (c y x)")
    squared = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").square()
    between = squared[~torch.eye(len(flat), dtype=torch.bool, device=flat.device)]
    bandwidth = float(between.median()) / log(len(flat)) if len(flat) > 1 else 0.0
    return (-squared / (bandwidth or 1.0)).exp(), bandwidth or 1.0
