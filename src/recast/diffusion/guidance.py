"""Guidance: the denoiser that is sampled, built from evaluations of the one that was trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import torch

from recast.types import Branch, Condition, Denoiser, Latents

BranchDenoiser = Callable[[Latents, float, Condition, Sequence[Branch]], list[Latents]]
"""Predicts the clean latents under several branches at once; `Backbone.denoise_branches`."""

BranchOf = Callable[[Condition], Branch]
"""A branch of a condition, such as `cond`."""


def cond(condition: Condition) -> Branch:
    """The wanted content, temporal layers on."""
    return Branch(condition.cond)


def uncond(condition: Condition) -> Branch:
    """The unwanted content, temporal layers on."""
    return Branch(condition.uncond)


def image_cond(condition: Condition) -> Branch:
    """The wanted content, each frame an image of its own."""
    return Branch(condition.cond, temporal=False)


def image_uncond(condition: Condition) -> Branch:
    """The unwanted content, each frame an image of its own."""
    return Branch(condition.uncond, temporal=False)


@dataclass(frozen=True)
class GuidanceTerm:
    """weight * (towards - against), one term of a guided prediction.

    within: the noise levels, both ends included, at which `weight` is in force; outside it is `outside`.
    """

    weight: float
    towards: BranchOf
    against: BranchOf
    within: tuple[float, float] = (0.0, inf)
    outside: float = 1.0

    def weight_at(self, sigma: float) -> float:
        """The weight at a noise level."""
        low, high = self.within
        return self.weight if low <= sigma <= high else self.outside


def guided_by(denoise_branches: BranchDenoiser, base: BranchOf, terms: Sequence[GuidanceTerm]) -> Denoiser:
    """The prediction of the base branch plus the sum of the terms.

    Weights of one branch add up over the terms, so each branch is evaluated once, and not at all where its weight is 0.
    All weights sum to 1 whatever the terms, so the result is the same in every parameterization of the network.
    """

    def guided_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        weights: dict[BranchOf, float] = {base: 1.0}
        for term in terms:
            weight = term.weight_at(sigma)
            weights[term.against] = weights.get(term.against, 0.0) - weight
            weights[term.towards] = weights.get(term.towards, 0.0) + weight
        used = {branch: weight for branch, weight in weights.items() if weight != 0}
        predictions = denoise_branches(x, sigma, condition, [branch(condition) for branch in used])
        weighted = (weight * clean for weight, clean in zip(used.values(), predictions, strict=True))
        return sum(weighted, start=torch.zeros_like(x))

    return guided_denoise


def guided(
    denoise_branches: BranchDenoiser,
    scale: float,
    temporal_scale: float = 1.0,
    within: tuple[float, float] = (0.0, inf),
) -> Denoiser:
    """Classifier-free guidance towards the content and towards agreement between frames. arXiv:2302.03011, equation 8.

    clean = image(uncond) + omega_t (video(uncond) - image(uncond)) + omega (video(cond) - video(uncond))

    scale: omega, 1 is no guidance. temporal_scale: omega_t, 1 is none, more is smoother over time.
    within: the noise levels at which `scale` is in force; 1 outside. arXiv:2404.07724.
    """
    temporal = GuidanceTerm(temporal_scale, uncond, image_uncond)
    content = GuidanceTerm(scale, cond, uncond, within)
    return guided_by(denoise_branches, image_uncond, (temporal, content))
