"""Guidance: the denoiser that is sampled, built from the one that was trained."""

from collections.abc import Callable, Sequence
from math import inf

import torch

from recast.types import Branch, Condition, Denoiser, Latents

BranchDenoiser = Callable[[Latents, float, Condition, Sequence[Branch]], list[Latents]]
"""Answers several questions about the same noisy latents at once; `Backbone.denoise_branches`."""


def guided(
    denoise_branches: BranchDenoiser,
    scale: float,
    temporal_scale: float = 1.0,
    within: tuple[float, float] = (0.0, inf),
) -> Denoiser:
    """Pushes the answer towards the content, and towards agreement between frames. arXiv:2302.03011, equation 8.

    With `still` for temporal layers off:
    clean = still(unwanted) + omega_t (video(unwanted) - still(unwanted)) + omega (video(wanted) - video(unwanted))

    scale: omega, 1 is no guidance. temporal_scale: omega_t, 1 is none, more is smoother over time.
    within: the noise levels at which `scale` is in force; 1 outside. arXiv:2404.07724.
    The three weights add up to 1, so it means the same whatever the network predicts. What has weight 0 is not asked.
    """
    low, high = within

    def guided_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        strength = scale if low <= sigma <= high else 1.0
        weighed = [
            (1 - temporal_scale, Branch(condition.uncond, temporal=False)),
            (temporal_scale - strength, Branch(condition.uncond)),
            (strength, Branch(condition.cond)),
        ]
        asked = [(weight, branch) for weight, branch in weighed if weight != 0]
        answers = denoise_branches(x, sigma, condition, [branch for _, branch in asked])
        weighted = (weight * answer for (weight, _), answer in zip(asked, answers, strict=True))
        return sum(weighted, start=torch.zeros_like(x))

    return guided_denoise
