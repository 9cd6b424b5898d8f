"""From clean latents up to the noise that a walk would have made them from. The reverse of `ddim`."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from recast.diffusion.schedule import check_decreasing
from recast.errors import RequestError
from recast.types import Condition, Denoiser, Latents

MOST_PSNR = 99.0
"""In dB, of equal tensors."""


@torch.no_grad()
def ddim_inversion(
    denoise: Denoiser, x: Latents, sigmas: list[float], condition: Condition, *, refinements: int = 0
) -> list[Latents]:
    """The latents at each level, from `x` at sigmas[-1] up to sigmas[0]; one more than there are steps.

    sigmas: decreasing, as for samplers, and visited from the end. From level s up to s', a step is

        x' = x + (s' - s) (x - denoise(x, s)) / s

    which is DDIM run backwards (arXiv:2010.02502, section 4.3) and Euler's method for the same equation. At s = 0 the
    slope is that of `x` itself at the smallest level above 0: (x - denoise(x, s')) / s'.

    The walk back takes each slope at the upper end instead, so it returns only nearly the same `x`: the error falls
    with the length of the steps. refinements: how often each step is made anew with the slope at its own result,

        x' = x + (s' - s) (x' - denoise(x', s')) / s'

    whose solution the walk back takes to `x` exactly (fixed-point iteration as in AIDI, arXiv:2309.04907, without its
    acceleration, and in ReNoise, arXiv:2403.14602, without its averages). It converges where (1 - s / s') times the
    derivative of x - denoise(x, s') is less than 1 in size, the faster the smaller that is; guidance with a large scale
    can exceed it, and `reconstruction_psnr` of the walk back tells. A step asks the denoiser 1 + refinements times.

    Raises ScheduleError for levels that do not decrease, RequestError for a negative number of refinements.
    """
    check_decreasing(sigmas, to_zero=False)
    if refinements < 0:
        raise RequestError(f"{refinements} refinements of an inversion; it must be 0 or more")
    trajectory = [x]
    for sigma, above in pairwise(reversed(sigmas)):
        x = trajectory[-1]
        raised = _raised(denoise, x, x, (sigma, above, sigma or above), condition)
        for _ in range(refinements):
            raised = _raised(denoise, x, raised, (sigma, above, above), condition)
        trajectory.append(raised)
    return trajectory


def reconstruction_psnr(source: Float[Tensor, "*shape"], reconstructed: Float[Tensor, "*shape"]) -> float:
    """Peak signal-to-noise ratio in dB of what inversion and the walk back made of `source`; 99 for equal ones.

    The peak is the difference between the largest and the smallest value of `source`, so latents and pixels of any
    range have comparable numbers.
    """
    error = (source.double() - reconstructed.double()).square().mean()
    if error == 0:
        return MOST_PSNR
    peak = source.double().max() - source.double().min()
    return min(MOST_PSNR, float(10 * torch.log10(peak**2 / error)))


def _raised(
    denoise: Denoiser, x: Latents, at: Latents, levels: tuple[float, float, float], condition: Condition
) -> Latents:
    """`x` taken from a level to the one above it, by the slope of the latents `at` at the third of the levels."""
    sigma, above, slope_sigma = levels
    return x + (above - sigma) / slope_sigma * (at - denoise(at, slope_sigma, condition))
