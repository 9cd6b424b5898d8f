"""What networks predict, and the way from there to clean latents and back.

A sampler adds noise, x = clean + sigma * noise (arXiv:2206.00364); networks were trained on mixtures of unit variance,
alpha * x with alpha = 1 / sqrt(1 + sigma^2). With alpha^2 = alpha_bar these are the usual diffusion equations.
"""

from enum import StrEnum

from torch import Tensor

Level = float | Tensor
"""A noise level, or levels in a shape that spreads over the latents, such as "b 1 1 1 1"."""


class Prediction(StrEnum):
    """What a network answers with, by the name that diffusers gives it."""

    NOISE = "epsilon"
    VELOCITY = "v_prediction"
    """alpha * noise - sigma * alpha * clean. Salimans and Ho 2022, arXiv:2202.00512, appendix D."""
    CLEAN = "sample"


def alpha(sigma: Level) -> Level:
    """The clean part's share in a mixture of unit variance; the noise's is sigma * alpha."""
    return (1 + sigma**2) ** -0.5


def scale_input(x: Tensor, sigma: Level) -> Tensor:
    """Noisy latents as the network was trained to see them."""
    return x * alpha(sigma)


def target(prediction: Prediction, clean: Tensor, noise: Tensor, sigma: Level) -> Tensor:
    """What a perfect network would answer; what a real one is trained to."""
    match prediction:
        case Prediction.NOISE:
            return noise
        case Prediction.VELOCITY:
            return alpha(sigma) * (noise - sigma * clean)
        case Prediction.CLEAN:
            return clean


def clean_from(prediction: Prediction, answer: Tensor, x: Tensor, sigma: Level) -> Tensor:
    """The clean latents that a network's answer stands for; `x` with the noise added, not mixed."""
    match prediction:
        case Prediction.NOISE:
            return x - sigma * answer
        case Prediction.VELOCITY:
            return alpha(sigma) ** 2 * x - sigma * alpha(sigma) * answer
        case Prediction.CLEAN:
            return answer


def noise_from(clean: Tensor, x: Tensor, sigma: Level) -> Tensor:
    """The noise in `x`, if that was what lies under it."""
    return (x - clean) / sigma
