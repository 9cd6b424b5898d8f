"""LTX's autoencoder: eight frames a latent, decoded with a look ahead, so all at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import AutoencoderKLLTXVideo
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.networks.placement import first_weight
from recast.types import ClipLatents, Latents


@dataclass(frozen=True, eq=False)
class LTXAutoencoder:
    """AutoencoderKLLTXVideo (arXiv:2501.00103, section 2.1), or AutoencoderKLLTX2Video.

    Decoders that are told how much noise is left (0.9.1 and later) are told none, where the pipeline may add some.
    """

    network: AutoencoderKLLTXVideo | AutoencoderKLLTX2Video

    @property
    def temporal_stride(self) -> int:
        """Frames that share a latent."""
        return self.network.temporal_compression_ratio

    @property
    def pixel_stride(self) -> int:
        """Pixels a latent."""
        return self.network.spatial_compression_ratio

    def encoded(self, pixels: Float[Tensor, "t 3 h w"]) -> ClipLatents:
        """Of all frames at once; causal."""
        given = rearrange(pixels, "t c h w -> 1 c t h w").to(first_weight(self.network))
        mean = rearrange(self.network.encode(given).latent_dist.mean.float(), "1 c t y x -> t c y x")
        middle, spread = self._scale()
        return (mean - middle) / spread

    def decoded(self, latents: Latents) -> Iterator[Float[Tensor, "part 3 h w"]]:
        """All frames in one part: the decoder looks ahead, and parts would show where they meet."""
        middle, spread = self._scale()
        like = first_weight(self.network)
        given = rearrange(latents * spread + middle, "t c y x -> 1 c t y x").to(like)
        left = torch.zeros(1, device=like.device, dtype=like.dtype)
        made = self.network.decode(given, left if self.network.config.timestep_conditioning else None).sample
        yield rearrange(made.float(), "1 c t h w -> t c h w")

    def _scale(self) -> tuple[Float[Tensor, "c 1 1"], Float[Tensor, "c 1 1"]]:
        """The mean and the deviation of latents, by channel."""
        middle, spread = self.network.latents_mean.float(), self.network.latents_std.float()
        spread = spread / self.network.config.scaling_factor
        return rearrange(middle, "c -> c 1 1"), rearrange(spread, "c -> c 1 1")
