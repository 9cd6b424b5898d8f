"""Keeping a part of the source while the rest is made anew."""

from jaxtyping import Float
from torch import Tensor

from recast.denoising import StepHook
from recast.types import Latents


def blend_source(source: Latents, noise: Latents, keep: Float[Tensor, "t 1 y x"]) -> StepHook:
    """After each step, puts the source back, at that step's noise level, where `keep` is 1.

    The paper's "masking the denoising process" (arXiv:2302.03011, figure 8). keep: 0..1, at the latents' size. `noise`
    stays the same over the steps: fresh noise shimmers. At level 0 what is kept is the source itself.
    """

    def kept(x: Latents, sigma: float, /) -> Latents:
        return keep * (source + sigma * noise) + (1 - keep) * x

    return kept
