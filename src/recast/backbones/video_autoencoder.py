"""Autoencoders that compress time, as a family's backbone uses them: pixels to unit-variance latents and back."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor, nn

from recast.types import ClipLatents, Latents, latent_count


@runtime_checkable
class VideoAutoencoder(Protocol):
    """An autoencoder whose first frame has a latent of its own, and whose others share one in groups."""

    @property
    def network(self) -> nn.Module:
        """Its weights."""
        ...

    @property
    def temporal_stride(self) -> int:
        """Frames that share a latent, past the first one."""
        ...

    @property
    def pixel_stride(self) -> int:
        """Pixels a latent, along one side."""
        ...

    def encoded(self, pixels: Float[Tensor, "t 3 h w"]) -> ClipLatents:
        """Pixels of -1..1 that fill their latents, as the mean of the distribution, at unit variance."""
        ...

    def decoded(self, latents: Latents) -> Iterator[Float[Tensor, "part 3 h w"]]:
        """Pixels of about -1..1 part by part, in order, so that not all need to be held on the device."""
        ...


def filled(pixels: Float[Tensor, "t c h w"], stride: int) -> Float[Tensor, "filled c h w"]:
    """The frames and as many repetitions of the last one as fill the last latent."""
    missing = 1 + stride * (latent_count(len(pixels), stride) - 1) - len(pixels)
    return torch.cat([pixels, repeat(pixels[-1], "c h w -> t c h w", t=missing)]) if missing else pixels
