"""Inversion by reused velocities, and edits where two velocities differ: UniEdit-Flow, arXiv:2504.13109."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.inversion import predictor_inversion
from recast.diffusion.schedule import finish, truncated
from recast.methods.difference import against, described
from recast.methods.inverted import inverted
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.types import Condition, Latents


@dataclass(frozen=True, kw_only=True)
class UniEditFlow(GuidanceKnobs):
    """Inverts the clip part of the way, and walks back towards the wanted content where the two contents differ.

    arXiv:2504.13109. Uni-Inv inverts with one evaluation a step: `predictor_inversion`. Uni-Edit starts from a lower
    level than noise alone (its delay), and at each level asks the same latents under both contents. The difference of
    the two velocities, guided by `cfg`, is followed where it is large, and elsewhere the source's own velocity is:

        D = D(source) + m (D(target) - D(source))

    with m, for each frame, the size of the difference in a place as a share of the largest. Velocities at one level
    differ by a multiple of what predictions D of the clean latents do, so the mask is the same in every
    parameterization. Network evaluations of a frame: 1 a step to invert it, and 3 a step to edit it. Needs no hooks.
    Draws nothing, so the seed changes nothing.

    Differs: the correction of the latents before each step is left out, and `cfg` weighs the difference instead, as
    guidance away from the source's content; the inversion's steps are in noise levels, not in time of rectified flow;
    the mask is of sizes, where the published code scales the signed mean over channels from its least to its largest.
    """

    paper: ClassVar[str] = "UniEdit-Flow, arXiv:2504.13109"
    needs: ClassVar[frozenset[Need]] = frozenset()
    needs_source: ClassVar[bool] = True
    ensembles: ClassVar[bool] = False

    strength: UnitInterval = 0.6
    """How high the clip is inverted, as the share of the steps that are taken (alpha); 0 gives the source back."""
    masked: UnitInterval = 1.0
    """How far the difference limits the edit to places where it is large; 0 edits all places alike."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or without a source."""
        own = described(inputs)
        plain, guided = (self.denoiser(inputs, backbone, scale) for scale in (1.0, inputs.cfg_scale))
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        inversion = inverted(inputs, backbone, plain, sigmas, invert=predictor_inversion)
        denoise, wanted = masked_difference(plain, guided, own, self.masked), against(inputs.condition, own)
        x = inputs.sampler(denoise, inversion.trajectory[0], sigmas, wanted, step_hook=inputs.step_hook)
        return finish(x, sigmas[-1])


def masked_difference(plain: Denoiser, guided: Denoiser, own: Condition, masked: float) -> Denoiser:
    """The prediction under the source's condition, and that under the wanted one where the two differ most."""

    def masked_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        before = plain(x, sigma, own)
        difference = guided(x, sigma, condition) - before
        return before + (1 - masked + masked * difference_mask(difference)) * difference

    return masked_denoise


def difference_mask(difference: Latents) -> Float[Tensor, "t 1 y x"]:
    """The mean size over channels, as a share of the largest in its frame; 0 where there is no difference."""
    size = difference.abs().mean(1, keepdim=True)
    return size / size.amax((-2, -1), keepdim=True).clamp(min=torch.finfo(size.dtype).tiny)
