"""Stable Diffusion's image autoencoder, frame by frame, so that memory does not grow with the clip."""

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from jaxtyping import Float
from torch import Tensor

from recast.types import Frames, Latents


def pixels_a_latent(vae: AutoencoderKL) -> int:
    """Along one side."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def encoded(vae: AutoencoderKL, frames: Frames) -> Latents:
    """Pixels to unit-variance latents; the mean of the distribution, no randomness."""
    return torch.cat([encoded_picture(vae, frame / 127.5 - 1) for frame in frames.split(1)])


def decoded(vae: AutoencoderKL, latents: Latents) -> Frames:
    """Latents to rounded and clamped pixels on the CPU."""
    return torch.cat([_decoded_frame(vae, latent) for latent in latents.split(1)])


def encoded_picture(vae: AutoencoderKL, pictures: Float[Tensor, "t 3 h w"]) -> Latents:
    """Pictures of -1..1 to latents, all at once."""
    mean = vae.encode(pictures.to(vae.device, vae.dtype)).latent_dist.mean
    return mean.float() * vae.config.scaling_factor


def _decoded_frame(vae: AutoencoderKL, latents: Latents) -> Frames:
    scaled = (latents / vae.config.scaling_factor).to(vae.device, vae.dtype)
    pictures = vae.decode(scaled).sample.float()
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()
