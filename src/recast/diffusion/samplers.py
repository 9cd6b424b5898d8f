"""Walks from noise to clean latents. They know noise levels and a denoiser, and no network.

What comes back is at the last level, sigmas[-1]: clean latents if it is 0. If it is not, they still have that much
noise: for a walk that goes on, or for `recast.diffusion.schedule.finish` where the model's own walk ends there.
"""

from itertools import pairwise
from math import exp, expm1, log

import torch

from recast.denoising import Denoiser, Sampler, StepHook, unchanged
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


SAMPLERS: dict[str, Sampler] = {
    "ddim": ddim,
    "dpm++2m": dpm_solver_2m,
    "heun": heun,
}
"""Every sampler by name."""
