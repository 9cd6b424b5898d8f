"""What the generator is trained on: one clip, computed once, whatever it was cached in."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recast.types import Latents

CERTAIN = -30.0
"""The log-variance of latents of which only the mode was kept: a deviation of 3e-7, which fp16 sees as none."""


@dataclass(frozen=True, eq=False)
class Example:
    """One clip as the generator meets it; a picture is a clip of one frame. Tensors are fp16 where they were cached.

    moments: mean and log-variance that the autoencoder gives the frames, of latents scaled to unit variance.
    structure: the latents of the structure maps, one for each of `levels`. levels: the t_s that the maps were softened
    by, 0..7, rising, the first 0. embeddings: the content embedding of each frame, of the length that the model wants.
    """

    moments: Float[Tensor, "t 8 y x"]
    structure: Float[Tensor, "k t 4 y x"]
    levels: tuple[float, ...]
    embeddings: Float[Tensor, "t d"]
    caption: str | None = None

    def latents(self, noise: Latents | None = None) -> Float[Tensor, "t 4 y x"]:
        """Latents of unit variance, in fp32: drawn with standard normal `noise` of their shape, or the mode.

        Caching the moments and drawing at each use is the same in distribution as encoding anew (arXiv:2112.10752).
        """
        mean, log_variance = self.moments.float().chunk(2, dim=1)
        return mean if noise is None else mean + torch.exp(log_variance / 2) * noise.to(mean)


def moments(latents: Float[Tensor, "t 4 y x"]) -> Float[Tensor, "t 8 y x"]:
    """The moments of latents of which only the mode is known: any draw from them is the mode."""
    return torch.cat([latents, torch.full_like(latents, CERTAIN)], dim=1)


@runtime_checkable
class Source(Protocol):
    """Examples of one size and one number of frames, which may share a batch: a cache of worlds, a bucket of shards."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def example(self, index: int) -> Example:
        """The example at `index`, always the same; 0 <= index < len."""
        ...
