"""Training examples of the generator: precomputed latents and conditions of one clip."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recast.types import Latents

CERTAIN = -30.0
"""Log-variance of latents of which only the mode is known: a standard deviation of 3e-7, zero in fp16."""


@dataclass(frozen=True, eq=False)
class Example:
    """One clip of the generator's dataset; a picture is a clip of one frame. Tensors are fp16 where they were cached.

    moments: mean and log-variance of the autoencoder's posterior, for latents of unit variance.
    structure: latents of the structure maps, one for each of `levels`. levels: t_s of the maps, 0..7, ascending, the
    first 0. embeddings: content embedding of each frame, with the norm that the model expects.
    """

    moments: Float[Tensor, "t 8 y x"]
    structure: Float[Tensor, "k t 4 y x"]
    levels: tuple[float, ...]
    embeddings: Float[Tensor, "t d"]
    caption: str | None = None

    def latents(self, noise: Latents | None = None) -> Float[Tensor, "t 4 y x"]:
        """Latents of unit variance, in fp32: sampled with standard normal `noise` of their shape, or the mode.

        Caching moments and sampling at each use has the same distribution as encoding again (arXiv:2112.10752).
        """
        mean, log_variance = self.moments.float().chunk(2, dim=1)
        return mean if noise is None else mean + torch.exp(log_variance / 2) * noise.to(mean)


def moments(latents: Float[Tensor, "t 4 y x"]) -> Float[Tensor, "t 8 y x"]:
    """Moments of latents of which only the mode is known: every sample equals the mode."""
    return torch.cat([latents, torch.full_like(latents, CERTAIN)], dim=1)


@runtime_checkable
class ExampleSource(Protocol):
    """A dataset of examples of one shape, which may share a batch: a cache of worlds, a bucket of shards."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def example(self, index: int) -> Example:
        """The example at `index`, deterministic; 0 <= index < len."""
        ...
