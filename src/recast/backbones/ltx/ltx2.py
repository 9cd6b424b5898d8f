"""LTX-2 as a backbone of pictures: its stream of video alone, told by Gemma (arXiv:2601.03233)."""

from dataclasses import dataclass

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.backbones.ltx.autoencoder import LTXAutoencoder
from recast.backbones.ltx.backbone import LTXBackbone, check_patches, usual_tokens
from recast.backbones.ltx.gemma_prompt import GemmaPrompt
from recast.backbones.video_transformer import Videos
from recast.diffusion.dynamic_shift import dynamic_schedule
from recast.model.folder import ModelFolder
from recast.networks.placement import first_weight, placed
from recast.types import Condition

PLACES = 1024
"""Tokens of a prompt, as the pipeline has it."""
USUAL_FPS = 24.0
"""Frames a second where recast.json says none; positions over time are in seconds."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LTX2Backbone(LTXBackbone):
    """LTX2VideoTransformer3DModel with its streams apart, so that pictures do not hear the sound.

    Differs from LTX2Pipeline: sound is not made, where the pipeline makes both and lets them see each other. The
    network answers so where the pipeline guides away from streams that are apart.
    """

    network: LTX2VideoTransformer3DModel

    def _answered(
        self,
        videos: Videos,
        sigma: float,
        condition: Condition,  # noqa: ARG002 -- it reads words alone
        tokens: Float[Tensor, "b n d"],
        *,
        apart: bool,  # noqa: ARG002 -- a latent alone is a clip of one
    ) -> Videos:
        like, (frames, rows, columns), config = first_weight(self.network), videos.shape[2:], self.network.config
        times = torch.full((len(videos),), self.schedule.sigma_to_timestep(sigma), device=like.device)
        width = config.audio_num_attention_heads * config.audio_attention_head_dim
        unheard = config.caption_channels if config.use_prompt_embeddings else width
        answer = self.network(
            rearrange(videos, "b c t y x -> b (t y x) c").to(like),
            audio_hidden_states=like.new_zeros(len(videos), 1, config.audio_in_channels),
            encoder_hidden_states=tokens.to(like),
            audio_encoder_hidden_states=like.new_zeros(len(videos), 1, unheard),
            timestep=times,
            sigma=times,
            encoder_attention_mask=tokens.any(-1),
            num_frames=frames,
            height=rows,
            width=columns,
            fps=self.metadata.fps or USUAL_FPS,
            audio_num_frames=1,
            isolate_modalities=True,
            return_dict=False,
        )[0]
        return rearrange(answer, "b (t y x) c -> b c t y x", t=frames, y=rows)


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LTX2Backbone:
    """The backbone in a folder of LTX2Pipeline: transformer, vae, text_encoder, connectors, tokenizer, scheduler.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged.
    """
    network = placed(model.network("transformer", LTX2VideoTransformer3DModel, dtype=dtype), device)
    check_patches(network, model)
    vae = placed(model.network("vae", AutoencoderKLLTX2Video, dtype=dtype), device)
    autoencoder = LTXAutoencoder(vae)
    return LTX2Backbone(
        network=network,
        autoencoder=autoencoder,
        prompt=GemmaPrompt.of_folder(model, PLACES, (device, dtype)),
        schedule=dynamic_schedule(model.scheduler_config(), usual_tokens(model.metadata, autoencoder)),
        metadata=model.metadata,
    )
