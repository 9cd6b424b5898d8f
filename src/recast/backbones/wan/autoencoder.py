"""Wan's autoencoder: four frames a latent, causal, so that it decodes latent by latent with what it remembers."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan, unpatchify
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.networks.placement import first_weight
from recast.types import ClipLatents, Latents


@dataclass(frozen=True, eq=False)
class WanAutoencoder:
    """AutoencoderKLWan, of Wan 2.1 (8 pixels a latent) or 2.2 (16). arXiv:2503.20314, section 4.1."""

    network: AutoencoderKLWan

    @property
    def temporal_stride(self) -> int:
        """Frames that share a latent."""
        return 2 ** sum(self.network.config.temperal_downsample)

    @property
    def pixel_stride(self) -> int:
        """Pixels a latent: halvings, and the patches that the encoder is given."""
        return 2 ** len(self.network.config.temperal_downsample) * (self.network.config.patch_size or 1)

    def encoded(self, pixels: Float[Tensor, "t 3 h w"]) -> ClipLatents:
        """Of all frames; the network works through them group by group."""
        given = rearrange(pixels, "t c h w -> 1 c t h w").to(first_weight(self.network))
        mean = rearrange(self.network.encode(given).latent_dist.mean.float(), "1 c t y x -> t c y x")
        middle, spread = self._scale(mean)
        return (mean - middle) / spread

    def decoded(self, latents: Latents) -> Iterator[Float[Tensor, "part 3 h w"]]:
        """The frames of one latent after those of another; memory is that of one."""
        middle, spread = self._scale(latents)
        given = rearrange(latents * spread + middle, "t c y x -> 1 c t y x").to(first_weight(self.network))
        if self.network.use_tiling:
            yield self._pixels(self.network.decode(given).sample)
            return
        network = self.network
        network.clear_cache()
        try:
            for number, latent in enumerate(network.post_quant_conv(given).split(1, dim=2)):
                network._conv_idx = [0]
                remembered = {"feat_cache": network._feat_map, "feat_idx": network._conv_idx}
                part = network.decoder(latent, **remembered, first_chunk=number == 0)
                patch = network.config.patch_size
                yield self._pixels(part if patch is None else unpatchify(part, patch_size=patch))
        finally:
            network.clear_cache()

    def _pixels(self, part: Float[Tensor, "1 3 t h w"]) -> Float[Tensor, "t 3 h w"]:
        return rearrange(part.float(), "1 c t h w -> t c h w")

    def _scale(self, like: Latents) -> tuple[Float[Tensor, "c 1 1"], Float[Tensor, "c 1 1"]]:
        """The mean and the deviation of latents, by channel."""
        middle, spread = (
            torch.tensor(each, device=like.device, dtype=torch.float32)
            for each in (self.network.config.latents_mean, self.network.config.latents_std)
        )
        return rearrange(middle, "c -> c 1 1"), rearrange(spread, "c -> c 1 1")
