"""LTX-Video as a backbone: words to clips by rectified flow, eight frames and 32 pixels a latent."""

from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import AutoencoderKLLTXVideo
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformer3DModel
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.backbones.ltx.autoencoder import LTXAutoencoder
from recast.backbones.t5_prompt import T5Prompt
from recast.backbones.video_transformer import Videos, VideoTransformerBackbone
from recast.diffusion.dynamic_shift import dynamic_schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.networks.placement import first_weight, placed
from recast.types import Condition, latent_count

PLACES = 128
"""Tokens of a prompt, as the pipeline has it."""
MAX_LATENTS = 128
"""Positions over time are fractions, so only memory bounds a pass; no window is longer."""
USUAL_FPS = 25.0
"""Frames a second where recast.json says none; positions over time are in seconds."""
USUAL_FRAMES = 121
LTXNetwork = LTXVideoTransformer3DModel | LTX2VideoTransformer3DModel
ASPECT = 1.5
"""Width over height of the clip whose places tell the shift of the levels; recast.json says its side and window."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LTXBackbone(VideoTransformerBackbone):
    """LTXVideoTransformer3DModel with its autoencoder and T5. arXiv:2501.00103."""

    network: LTXNetwork

    @property
    def pixel_multiple(self) -> int:
        """A latent's pixels; each latent is a place of its own."""
        return self.autoencoder.pixel_stride

    @property
    def max_frames(self) -> int:
        """See MAX_LATENTS."""
        return MAX_LATENTS

    def _answered(
        self,
        videos: Videos,
        sigma: float,
        condition: Condition,  # noqa: ARG002 -- it reads words alone
        tokens: Float[Tensor, "b n d"],
        *,
        apart: bool,  # noqa: ARG002 -- a latent alone is a clip of one
    ) -> Videos:
        like, (frames, rows, columns) = first_weight(self.network), videos.shape[2:]
        seconds = self.temporal_stride / (self.metadata.fps or USUAL_FPS)
        answer = self.network(
            rearrange(videos, "b c t y x -> b (t y x) c").to(like),
            encoder_hidden_states=tokens.to(like),
            timestep=torch.full((len(videos),), self.schedule.sigma_to_timestep(sigma), device=like.device),
            encoder_attention_mask=tokens.any(-1),
            num_frames=frames,
            height=rows,
            width=columns,
            rope_interpolation_scale=(seconds, self.autoencoder.pixel_stride, self.autoencoder.pixel_stride),
            return_dict=False,
        )[0]
        return rearrange(answer, "b (t y x) c -> b c t y x", t=frames, y=rows)


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LTXBackbone:
    """The backbone in a folder of LTXPipeline: transformer, vae, text_encoder, tokenizer, scheduler.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for a network whose places are patches of several latents, which no published one is.
    """
    from transformers import T5EncoderModel

    network = placed(model.network("transformer", LTXVideoTransformer3DModel, dtype=dtype), device)
    check_patches(network, model)
    vae = placed(model.network("vae", AutoencoderKLLTXVideo, dtype=dtype), device)
    autoencoder = LTXAutoencoder(vae)
    config = model.scheduler_config()
    return LTXBackbone(
        network=network,
        autoencoder=autoencoder,
        prompt=T5Prompt.opened(model, T5EncoderModel, PLACES, (device, dtype), sees_padding=True),
        schedule=dynamic_schedule(config, usual_tokens(model.metadata, autoencoder)),
        metadata=model.metadata,
    )


def check_patches(network: LTXNetwork, model: ModelFolder) -> None:
    """Raises WeightsError for a network whose places are patches of several latents."""
    if (network.config.patch_size, network.config.patch_size_t) != (1, 1):
        sides = f"{network.config.patch_size}x{network.config.patch_size} by {network.config.patch_size_t}"
        raise WeightsError(f"the transformer reads patches of {sides} latents, and ltx opens single ones; {model.path}")


def usual_tokens(metadata: ModelMetadata, autoencoder: LTXAutoencoder) -> int:
    """Places of the clip that a folder says is usual."""
    rows = metadata.short_side // autoencoder.pixel_stride
    columns = int(metadata.short_side * ASPECT) // autoencoder.pixel_stride
    frames = metadata.window or metadata.frames or USUAL_FRAMES
    return latent_count(frames, autoencoder.temporal_stride) * rows * columns
