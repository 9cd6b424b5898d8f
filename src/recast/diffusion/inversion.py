"""From clean latents up to the noise that a walk would have made them from. The reverse of `ddim`."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Shaped
from torch import Tensor

from recast.denoising import Denoiser, StepHook, unchanged
from recast.diffusion.schedule import check_decreasing
from recast.errors import RequestError
from recast.types import Condition, Latents

MOST_PSNR = 99.0
"""In dB, of equal tensors."""
LARGEST_VARIANCE = 100.0
"""Of clean latents along the directions in which they vary most, low frequencies; over all directions it is about 1.

On `pocket` 100 converges in one refinement where 1 diverges and infinity takes many (docs/decisions/0024).
"""


@dataclass(frozen=True, eq=False)
class Inversion:
    """Latents at each level of a walk, and what the walk back would make of them.

    sigmas: decreasing, as for samplers. trajectory: the latents at each of them; the last are those it began with.
    error: an estimate of what `ddim` from trajectory[0] gives, less trajectory[-1].

    What a denoiser answers to the latents at the upper end of a step up tells what the step down would miss there. That
    is taken down the rest of the walk as if the data had variance LARGEST_VARIANCE: what is missed at high levels is
    mostly of low frequencies. For data that vary less it is too large.
    """

    sigmas: list[float]
    trajectory: list[Latents]
    error: Latents

    def at(self, sigma: float) -> Latents:
        """The latents at the level nearest to `sigma`: a sampler may ask between the levels."""
        return self.trajectory[nearest_level(self.sigmas, sigma)]

    @property
    def reconstructed(self) -> Latents:
        """What `ddim` is estimated to give back for trajectory[-1]."""
        return self.trajectory[-1] + self.error


def nearest_level(sigmas: list[float], sigma: float) -> int:
    """The index of the level nearest to `sigma`."""
    return min(range(len(sigmas)), key=lambda index: abs(sigmas[index] - sigma))


@torch.no_grad()
def ddim_inversion(
    denoise: Denoiser,
    x: Latents,
    sigmas: list[float],
    condition: Condition,
    *,
    refinements: int = 0,
    step_hook: StepHook = unchanged,
) -> Inversion:
    """From `x` at sigmas[-1] up to sigmas[0]. sigmas: decreasing, as for samplers, and visited from the end.

    From level s up to s', a step is

        x' = x + (s' - s) (x - denoise(x, s)) / s

    which is DDIM run backwards (arXiv:2010.02502, section 4.3) and Euler's method for the same equation. At s = 0 the
    slope is that of `x` itself at the smallest level above 0: (x - denoise(x, s')) / s'.

    The walk back takes each slope at the upper end instead, so it returns only nearly the same `x`: the error falls
    with the length of the steps. refinements: how often each step is made anew with the answer at its own result, see
    `_refined`; strong guidance can keep that from converging. step_hook: called after each step, at its upper level.
    The denoiser is asked 1 + steps * (1 + refinements) times.

    Raises ScheduleError for levels that do not decrease, RequestError for a negative number of refinements.
    """
    check_decreasing(sigmas, to_zero=False)
    if refinements < 0:
        raise RequestError(f"{refinements} refinements of an inversion; it must be 0 or more")
    trajectory, error, share, rising = [x], torch.zeros_like(x), 1.0, sigmas[::-1]
    clean = denoise(x, rising[0] or rising[1], condition) if rising[1:] else x
    for sigma, above in pairwise(rising):
        raised = x + (above - sigma) / (sigma or above) * (x - clean)
        for _ in range(refinements):
            raised = _refined(x, raised, denoise(raised, above, condition), (sigma, above))
        raised = step_hook(raised, above)
        clean = denoise(raised, above, condition)
        error = error + share * (clean + sigma / above * (raised - clean) - x)
        x, share = raised, share * _lowered_share(sigma, above)
        trajectory.append(x)
    return Inversion(sigmas, trajectory[::-1], error)


@torch.no_grad()
def predictor_inversion(
    denoise: Denoiser, x: Latents, sigmas: list[float], condition: Condition, *, step_hook: StepHook = unchanged
) -> Inversion:
    """As `ddim_inversion`, with each step's slope from where the slope before it leads: Uni-Inv, arXiv:2504.13109.

        predicted = x + (s' - s) slope        slope' = (predicted - denoise(predicted, s')) / s'
        x' = x + (s' - s) slope'

    The walk back takes its slope at x', which is nearer to `predicted` than x is, by one order of the step's length;
    and each slope serves twice, so the denoiser is asked 1 + steps times. What is missed is estimated from the distance
    of x' and `predicted`, as if the data had variance LARGEST_VARIANCE; see `Inversion`.

    Differs from the paper: steps are in sigma, not in time of rectified flow.
    """
    check_decreasing(sigmas, to_zero=False)
    trajectory, error, share, levels = [x], torch.zeros_like(x), 1.0, sigmas[::-1]
    first = levels[0] or max(levels[:2])
    slope = (x - denoise(x, first, condition)) / first if levels[1:] else x
    for sigma, above in pairwise(levels):
        predicted = x + (above - sigma) * slope
        slope = (predicted - denoise(predicted, above, condition)) / above
        x = x + (above - sigma) * slope
        error = error + share * (1 - sigma / above) * _slope(above) * (x - predicted)
        share *= _lowered_share(sigma, above)
        x = step_hook(x, above)
        trajectory.append(x)
    return Inversion(sigmas, trajectory[::-1], error)


def reconstruction_psnr(
    source: Shaped[Tensor, "*shape"], reconstructed: Shaped[Tensor, "*shape"], peak: float | None = None
) -> float:
    """Peak signal-to-noise ratio in dB of what inversion and the walk back made of `source`; 99 for equal ones.

    peak: 255 for pixels. By default the difference between the largest and the smallest value of `source`.
    """
    error = (source.double() - reconstructed.double()).square().mean()
    if error == 0:
        return MOST_PSNR
    if peak is None:
        peak = float(source.double().max() - source.double().min())
    return min(MOST_PSNR, float(10 * torch.log10(peak**2 / error)))


def _refined(x: Latents, raised: Latents, clean: Latents, sigmas: tuple[float, float]) -> Latents:
    """`raised` nearer to the latents that a step of DDIM takes from level s' down to s at `x` exactly.

    Those solve x' = x + h (x' - D(x')) with h = 1 - s / s', D the denoiser at s'. With D(x') = c x' + r it is

        x' = (x - h r) / (1 - h (1 - c)),    r = D(last x') - c (last x')

    again and again. c = 1 is the fixed-point iteration of AIDI (arXiv:2309.04907, without its acceleration) and ReNoise
    (arXiv:2403.14602, without its averages), which comes nearer by a factor of h |1 - D'| each time: not at all from
    one level to one many times higher, such as those of zero terminal signal-to-noise, where D' is about 0. Here c is
    D' of data of variance LARGEST_VARIANCE, about 1 at low levels, and the factor is h |c - D'| / (1 - h (1 - c)).
    """
    sigma, above = sigmas
    return (x - (1 - sigma / above) * (clean - _slope(above) * raised)) / _lowered_share(sigma, above)


def _lowered_share(sigma: float, above: float) -> float:
    """By what a step of DDIM from `above` down to `sigma` multiplies latents of Gaussian data."""
    return 1 - (1 - sigma / above) * (1 - _slope(above))


def _slope(sigma: float) -> float:
    """Derivative of the best denoiser of Gaussian data with variance LARGEST_VARIANCE: arXiv:2206.00364, appendix B."""
    return LARGEST_VARIANCE / (LARGEST_VARIANCE + sigma**2)
