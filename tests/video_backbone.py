"""A Gen-1 backbone whose autoencoder compresses time: Wan's real one, tiny, four frames a latent after the first."""

from dataclasses import dataclass, fields

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from einops import rearrange, repeat

from recast.backbones.autoencoder import as_frames
from recast.backbones.gen1 import Gen1Backbone
from recast.progress import unreported
from recast.types import latent_count


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoBackbone(Gen1Backbone):
    """As Gen1Backbone; structure goes through the same autoencoder, so it is compressed in time as latents are."""

    video_vae: AutoencoderKLWan

    @property
    def temporal_stride(self):
        """Four frames share a latent."""
        return 4

    def encode_pixels(self, pixels):
        """All frames at once; the autoencoder works through them in chunks and is causal."""
        whole = 1 + 4 * (latent_count(len(pixels), 4) - 1)
        filled = torch.cat([pixels, repeat(pixels[-1], "c h w -> t c h w", t=whole - len(pixels))])
        spread = self.video_vae.encode(rearrange(filled, "t c h w -> 1 c t h w")).latent_dist
        return rearrange(spread.mean, "1 c t h w -> t c h w")

    def decode_pixels(self, latents):
        """Decoded latent by latent, each with what the autoencoder remembers of those before."""
        decoded = self.video_vae.decode(rearrange(latents, "t c h w -> 1 c t h w")).sample
        return rearrange(decoded, "1 c t h w -> t c h w")

    @torch.no_grad()
    def decode(self, latents, report=unreported):
        """Chunks belong to the autoencoder, whose decoder is called once for each latent."""
        calls = []

        def counted(*_call):
            calls.append(None)
            report(len(calls), len(latents))

        handle = self.video_vae.decoder.register_forward_hook(counted)
        try:
            return as_frames(self.decode_pixels(latents))
        finally:
            handle.remove()


def video_backbone(image):
    """The same networks as in `image`, with Wan's autoencoder in place of the frames' own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        vae = AutoencoderKLWan(
            base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4
        )
    held = {field.name: getattr(image, field.name) for field in fields(image)}
    return VideoBackbone(**held, video_vae=vae.eval().requires_grad_(False))
