"""Losses of tuning: the network's own, and consistency over time. All read the denoised (clean) latents."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recast.diffusion.parameterization import Prediction, clean_from
from recast.types import Latents

LatentKind = Literal["clean", "noise"]
"""Which latents a temporal loss compares: the predicted clean ones, or the predicted noise."""


def prediction_error(prediction: Prediction, denoised: Latents, clean: Latents, sigma: float) -> Latents:
    """What the network's own answer (noise, velocity, ...) missed its target by, from its denoised latents.

    Clean latents are an affine function of the answer, so both misses differ by its slope alone.
    """
    slope = clean_from(prediction, torch.ones(()), torch.zeros(()), sigma)
    return (denoised - clean) / float(slope)


@dataclass(frozen=True, eq=False)
class Guess:
    """What was predicted at one level, beside what is true. x: clean + sigma noise, which the network was shown."""

    denoised: Latents
    clean: Latents
    noise: Latents
    sigma: float

    def latents(self, which: LatentKind) -> tuple[Latents, Latents]:
        """The predicted latents of a kind, and the true ones."""
        if which == "clean":
            return self.denoised, self.clean
        # x - denoised = sigma (predicted noise), with x = clean + sigma noise.
        return self.noise + (self.clean - self.denoised) / self.sigma, self.noise


def neighbour_difference(predicted: Latents, _true: Latents) -> Float[Tensor, ""]:
    """Mean square of the difference of neighbouring frames: as alike as can be. The paper's words, section 3.2."""
    return predicted.diff(dim=0).square().mean()


def matched_difference(predicted: Latents, true: Latents) -> Float[Tensor, ""]:
    """Mean square by which differences of neighbouring frames miss the source's, so that motion costs nothing."""
    return (predicted - true).diff(dim=0).square().mean()


def second_difference(predicted: Latents, _true: Latents) -> Float[Tensor, ""]:
    """Mean size of the second difference over frames. SmoothVideo, arXiv:2311.17536."""
    return predicted.diff(n=2, dim=0).abs().mean()


def debiased(predicted: Latents, true: Latents, beta: float = 1.0) -> Float[Tensor, ""]:
    """Mean square by which phi misses the source's, over frames and anchors. MotionDirector, arXiv:2310.08465.

    phi(x_i) = sqrt(beta^2 + 1) x_i - beta x_a takes away what frame i has alike with the anchor a, and so most of what
    is missed in all frames alike: of the look. Differs: the anchor is each frame in turn, in closed form, where the
    paper draws one at random; the mean is the same.
    """
    missed = predicted - true
    alike = missed.mean(0).square().mean()
    return (2 * beta**2 + 1) * missed.square().mean() - 2 * beta * (beta**2 + 1) ** 0.5 * alike


@dataclass(frozen=True)
class TemporalLoss:
    """A temporal consistency loss. weight, latent: where nothing else is said. least: frames that it needs."""

    between: Callable[[Latents, Latents], Float[Tensor, ""]]
    weight: float
    latent: LatentKind
    least: int = 2


TEMPORAL_LOSSES: dict[str, TemporalLoss] = {
    "difference": TemporalLoss(neighbour_difference, 0.05, "clean"),
    "matched": TemporalLoss(matched_difference, 0.05, "clean"),
    "second": TemporalLoss(second_difference, 0.2, "noise", least=3),
    "debiased": TemporalLoss(debiased, 1.0, "noise"),
}
"""Temporal losses by name. The paper states neither weight nor latent; of `second` both are SmoothVideo's, and of
`debiased` MotionDirector's."""
