"""What networks predict, and the way from there to clean latents and back.

A sampler adds noise, x = clean + sigma * noise (arXiv:2206.00364). Networks were trained on mixtures of the two: most
on ones of unit variance, alpha * x with alpha = 1 / sqrt(1 + sigma^2); with alpha^2 = alpha_bar these are the usual
diffusion equations. Rectified flow was trained on (1 - t) clean + t noise, which is x / (1 + sigma), t = sigma /
(1 + sigma).
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
    FLOW = "flow_prediction"
    """noise - clean. Rectified flow (arXiv:2209.03003), clean at t = 0 and noise at t = 1 as in arXiv:2403.03206."""


def alpha(sigma: Level) -> Level:
    """The clean part's share in a mixture of unit variance; the noise's is sigma * alpha."""
    return (1 + sigma**2) ** -0.5


def clean_share(prediction: Prediction, sigma: Level) -> Level:
    """The clean part's share in the mixture that a network of this prediction was trained to see."""
    return 1 / (1 + sigma) if prediction is Prediction.FLOW else alpha(sigma)


def scale_input(x: Tensor, sigma: Level, prediction: Prediction = Prediction.VELOCITY) -> Tensor:
    """Noisy latents as the network was trained to see them. Only flow networks see other mixtures than the rest."""
    return x * clean_share(prediction, sigma)


def target(prediction: Prediction, clean: Tensor, noise: Tensor, sigma: Level) -> Tensor:
    """What a perfect network would answer; what a real one is trained to."""
    match prediction:
        case Prediction.NOISE:
            return noise
        case Prediction.VELOCITY:
            return alpha(sigma) * (noise - sigma * clean)
        case Prediction.CLEAN:
            return clean
        case Prediction.FLOW:
            return noise - clean


def clean_from(prediction: Prediction, answer: Tensor, x: Tensor, sigma: Level) -> Tensor:
    """The clean latents that a network's answer stands for; `x` with the noise added, not mixed."""
    match prediction:
        case Prediction.NOISE:
            return x - sigma * answer
        case Prediction.VELOCITY:
            return alpha(sigma) ** 2 * x - sigma * alpha(sigma) * answer
        case Prediction.CLEAN:
            return answer
        case Prediction.FLOW:
            return (x - sigma * answer) / (1 + sigma)
