"""CogVideoX's autoencoder: four frames a latent, causal, decoded two latents at a time with what it remembers."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.networks.placement import first_weight
from recast.types import ClipLatents, Latents


@dataclass(frozen=True, eq=False)
class CogVideoXAutoencoder:
    """AutoencoderKLCogVideoX. arXiv:2408.06072, section 2.1."""

    network: AutoencoderKLCogVideoX

    @property
    def temporal_stride(self) -> int:
        """Frames that share a latent."""
        return int(self.network.config.temporal_compression_ratio)

    @property
    def pixel_stride(self) -> int:
        """Pixels a latent."""
        return 2 ** (len(self.network.config.block_out_channels) - 1)

    def encoded(self, pixels: Float[Tensor, "t 3 h w"]) -> ClipLatents:
        """Of all frames; the network works through them eight by eight."""
        given = rearrange(pixels, "t c h w -> 1 c t h w").to(first_weight(self.network))
        mean = self.network.encode(given).latent_dist.mean.float()
        return rearrange(mean, "1 c t y x -> t c y x") * self.network.config.scaling_factor

    def decoded(self, latents: Latents) -> Iterator[Float[Tensor, "part 3 h w"]]:
        """The frames of two latents after those of others; the first part has three, or one where that is all.

        So the published decoder was trained. A first part of an even number would give its first latent four frames
        too, as it does in diffusers; here the last latent is repeated then, and its second four frames are left out.
        """
        network, count = self.network, len(latents)
        whole = latents if count % 2 else torch.cat([latents, latents[-1:]])
        scaled = whole / network.config.scaling_factor
        given = rearrange(scaled, "t c y x -> 1 c t y x").to(first_weight(network))
        left = 1 + self.temporal_stride * (count - 1)
        for part in [network.decode(given).sample] if network.use_tiling else self._in_parts(given):
            pixels = rearrange(part.float(), "1 c t h w -> t c h w")[:left]
            left -= len(pixels)
            yield pixels

    def _in_parts(self, given: Float[Tensor, "1 c t y x"]) -> Iterator[Float[Tensor, "1 3 part h w"]]:
        network, remembered = self.network, None
        size, count = network.num_latent_frames_batch_size, given.shape[2]
        first = min(count, size + count % size)
        for part in torch.split(given, [first, *[size] * ((count - first) // size)], dim=2):
            ready = part if network.post_quant_conv is None else network.post_quant_conv(part)
            made, remembered = network.decoder(ready, conv_cache=remembered)
            yield made
