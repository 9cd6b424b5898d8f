"""Walks from noise to clean latents. They know noise levels and a denoiser, and no network.

What comes back is at the last level, sigmas[-1]: clean latents if it is 0. If it is not, they still have that much
noise: for a walk that goes on, or for `recast.diffusion.schedule.finish` where the model's own walk ends there.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import exp, expm1, log

import torch

from recast.denoising import Denoiser, Noise, Sampler, StepHook, unchanged
from recast.diffusion.schedule import check_decreasing
from recast.types import Condition, Latents


@torch.no_grad()
def ddim(
    denoise: Denoiser, x: Latents, sigmas: list[float], condition: Condition, *, step_hook: StepHook = unchanged
) -> Latents:
    """Straight steps along the slope at hand: DDIM (arXiv:2010.02502) is Euler's method over sigma."""
    check_decreasing(sigmas, to_zero=False)
    for sigma, sigma_next in pairwise(sigmas):
        clean = denoise(x, sigma, condition)
        x = step_hook(clean + sigma_next / sigma * (x - clean), sigma_next)
    return x


@torch.no_grad()
def heun(
    denoise: Denoiser, x: Latents, sigmas: list[float], condition: Condition, *, step_hook: StepHook = unchanged
) -> Latents:
    """Two looks a step, and the mean of their slopes. arXiv:2206.00364, algorithm 1."""
    check_decreasing(sigmas, to_zero=False)
    for sigma, sigma_next in pairwise(sigmas):
        slope = (x - denoise(x, sigma, condition)) / sigma
        tried = x + (sigma_next - sigma) * slope
        if sigma_next > 0:
            slope = (slope + (tried - denoise(tried, sigma_next, condition)) / sigma_next) / 2
        x = step_hook(x + (sigma_next - sigma) * slope, sigma_next)
    return x


@torch.no_grad()
def dpm_solver_2m(
    denoise: Denoiser, x: Latents, sigmas: list[float], condition: Condition, *, step_hook: StepHook = unchanged
) -> Latents:
    """One look a step, and the last one remembered: DPM-Solver++(2M). arXiv:2211.01095, algorithm 2.

    Its first and last steps are DDIM's: there is nothing to remember yet, and log sigma has no end.
    """
    check_decreasing(sigmas, to_zero=False)
    last_clean, last_step = x, 0.0
    for sigma, sigma_next in pairwise(sigmas):
        clean = denoise(x, sigma, condition)
        step = log(sigma / sigma_next) if sigma_next > 0 else 0.0
        ahead = clean + step / (2 * last_step) * (clean - last_clean) if last_step and step else clean
        # exp(-step) is below / sigma; at the end the whole of x is noise and goes
        x = step_hook(exp(-step) * x - expm1(-step) * ahead if step else clean, sigma_next)
        last_clean, last_step = clean, step
    return x


def _drawn(like: Latents, number: int) -> Latents:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(number)).to(like)


@dataclass(frozen=True)
class ConsistencySampler:
    """The clean latents at each level, and fresh noise of the next one: multistep consistency sampling.

    arXiv:2303.01469, algorithm 1; Latent Consistency Models, arXiv:2310.04378. For networks that were distilled for it.
    Differs from diffusers' LCMScheduler: what of the noisy latents it keeps (its boundary condition) is left out, less
    than 1e-5 of them at the levels that a walk of up to 50 steps visits.
    noise: standard normal, another for each number.
    """

    noise: Noise = _drawn

    def under(self, noise: Noise) -> "ConsistencySampler":
        """The same under the noise of one edit."""
        return ConsistencySampler(noise)

    @torch.no_grad()
    def __call__(
        self,
        denoise: Denoiser,
        x: Latents,
        sigmas: list[float],
        condition: Condition,
        *,
        step_hook: StepHook = unchanged,
    ) -> Latents:
        """From `x` at level sigmas[0] to sigmas[-1]."""
        check_decreasing(sigmas, to_zero=False)
        for number, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
            clean = denoise(x, sigma, condition)
            fresh = sigma_next * self.noise(clean, FIRST_FRESH + number) if sigma_next else 0
            x = step_hook(clean + fresh, sigma_next)
        return x


FIRST_FRESH = 10_000
"""The number of the first fresh noise; lower ones are those of walks' starts, ensembles and methods."""

SAMPLERS: dict[str, Sampler] = {
    "ddim": ddim,
    "dpm++2m": dpm_solver_2m,
    "heun": heun,
    "lcm": ConsistencySampler(),
}
"""Every sampler by name."""
