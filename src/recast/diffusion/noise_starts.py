"""The noises that a clip without a source may start from, by name."""

from collections.abc import Callable, Sequence

import torch

from recast.diffusion.noise import NoiseDraw, mixed_noise, progressive_noise, shared_noise
from recast.types import Latents

NoiseStart = Callable[[NoiseDraw, Sequence[int], float], Latents]
"""Unit-variance noise for frames; the number says how much they share, where that can be said."""


def own_noise(draw: NoiseDraw, frames: Sequence[int]) -> Latents:
    """Each frame's own noise, independent of the others'."""
    return draw(frames, 0)


def based_noise(draw: NoiseDraw, frames: Sequence[int], alpha: float = 1.0) -> Latents:
    """A base that all frames share, alone in the middle frame, and a residual in the others.

    VideoFusion, arXiv:2303.08320, equation 4 at the start of a walk, where what the base is of the middle frame is its
    noise alone: of the other frames its share of the variance is lambda = alpha^2 / (1 + alpha^2).
    """
    noise = mixed_noise(draw, frames, alpha).clone()
    middle = len(frames) // 2
    noise[middle] = shared_noise(draw, frames)[middle]
    return noise


NOISE_STARTS: dict[str, tuple[NoiseStart, float]] = {
    "own": (lambda draw, frames, _: own_noise(draw, frames), 0.0),
    "shared": (lambda draw, frames, _: shared_noise(draw, frames), 0.0),
    "mixed": (mixed_noise, 1.0),
    "progressive": (progressive_noise, 2.0),
    "residual": (based_noise, 1.0),
}
"""Each noise with the share that it has where none is said; 0 where there is nothing to say."""


def every(draw: NoiseDraw, stride: int) -> NoiseDraw:
    """The same for latents of `stride` frames each, by their own number."""

    def of_latents(latents: Sequence[int], number: int) -> Latents:
        return draw([stride * each for each in latents], number) if len(latents) else torch.zeros(0)

    return of_latents
