"""Latents that are moved down the gradient of an energy before a step is taken, in a part of a walk."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recast.denoising import Denoiser, Sampler, StepHook, unchanged
from recast.diffusion.excerpt import in_turn
from recast.types import Condition, Latents

SCALED = 2**10
"""What an energy is times on its way back, so that half-precision networks lose less of a small gradient."""


def gradient_of(energy: Float[Tensor, ""], x: Latents) -> Latents:
    """Of an energy by the latents that it was computed from."""
    [scaled] = torch.autograd.grad(SCALED * energy, x)
    return scaled / SCALED


@dataclass(frozen=True, eq=False)
class LatentGuidance:
    """A sampler whose latents are first moved against a gradient, at noise levels above the first of `within`.

    x <- x - scale sigma^2 gradient, `iterations` times at each level: z <- z - scale (1 - alpha_bar) gradient in the
    latents z of DDPM, the rule of classifier guidance (arXiv:2105.05233) with the energy as -log p, and that of
    training-free layout control (arXiv:2304.03373). gradient: of the energy by the noisy latents, called as a denoiser
    is, so that windows join it. within: the levels, the second one included.
    """

    sampler: Sampler
    gradient: Denoiser
    scale: float
    iterations: int
    within: tuple[float, float]

    def __call__(
        self,
        denoise: Denoiser,
        x: Latents,
        sigmas: list[float],
        condition: Condition,
        *,
        step_hook: StepHook = unchanged,
    ) -> Latents:
        """As Sampler has it; step_hook is called with latents that are not moved yet."""

        def moved(latents: Latents, sigma: float, /) -> Latents:
            return self.moved(latents, sigma, condition)

        return self.sampler(denoise, moved(x, sigmas[0]), sigmas, condition, step_hook=in_turn(step_hook, moved))

    @torch.no_grad()
    def moved(self, x: Latents, sigma: float, condition: Condition) -> Latents:
        """The latents at a level, moved as far as it asks."""
        low, high = self.within
        if not low < sigma <= high:
            return x
        for _ in range(self.iterations):
            x = x - self.scale * sigma**2 * self.gradient(x, sigma, condition)
        return x
