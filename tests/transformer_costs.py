"""Transformers of video at their published sizes on the meta device, with what a step of them is given."""

from functools import partial

import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from diffusers.models.autoencoders.autoencoder_kl_ltx import AutoencoderKLLTXVideo
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformer3DModel
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel
from torch import nn

from cogvideox_folder import PUBLISHED
from recast.backbones.cogvideox import CogVideoXBackbone
from recast.backbones.cogvideox.autoencoder import CogVideoXAutoencoder
from recast.backbones.ltx import LTX2Backbone, LTXBackbone
from recast.backbones.ltx.autoencoder import LTXAutoencoder
from recast.backbones.t5_prompt import T5Prompt
from recast.backbones.wan import WanBackbone, WanInContextBackbone, WanInstructedBackbone, WanVACEBackbone
from recast.backbones.wan.autoencoder import WanAutoencoder
from recast.backbones.wan.in_context import told_apart
from recast.diffusion.schedule import FlowSchedule, schedule
from recast.types import Condition, latent_count
from step_costs import COLUMNS, FRAMES, ROWS, on_meta

WAN_1_3B = {"num_attention_heads": 12, "attention_head_dim": 128, "ffn_dim": 8960, "num_layers": 30}
WAN_5B = {"num_attention_heads": 24, "attention_head_dim": 128, "ffn_dim": 14336, "num_layers": 30}
WAN_14B = {"num_attention_heads": 40, "attention_head_dim": 128, "ffn_dim": 13824, "num_layers": 40}
VACE = {"vace_layers": list(range(0, 30, 2)), "vace_in_channels": 96}
WAN_2_2_VAE = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "latents_mean": [0.0] * 48,
    "latents_std": [1.0] * 48,
}


def shared(places):
    """What families have alike; words are not asked."""
    return {
        "prompt": T5Prompt(nn.Identity(), None, torch.device("meta"), places),
        "schedule": FlowSchedule.of(shift=3.0),
    }


def wan(sizes=WAN_1_3B):
    network = on_meta(WanTransformer3DModel, **sizes)
    return WanBackbone(network=network, autoencoder=WanAutoencoder(on_meta(AutoencoderKLWan)), **shared(512))


def vace(sizes=WAN_1_3B | VACE):
    network = on_meta(WanVACETransformer3DModel, **sizes)
    return WanVACEBackbone(network=network, autoencoder=WanAutoencoder(on_meta(AutoencoderKLWan)), **shared(512))


def lucy():
    network = on_meta(WanTransformer3DModel, **WAN_5B, in_channels=96, out_channels=48)
    vae = WanAutoencoder(on_meta(AutoencoderKLWan, **WAN_2_2_VAE))
    return WanInstructedBackbone(network=network, autoencoder=vae, **shared(512))


def bernini():
    network = told_apart(on_meta(WanTransformer3DModel, **WAN_1_3B))
    return WanInContextBackbone(network=network, autoencoder=WanAutoencoder(on_meta(AutoencoderKLWan)), **shared(512))


def ltx():
    vae = LTXAutoencoder(on_meta(AutoencoderKLLTXVideo))
    return LTXBackbone(network=on_meta(LTXVideoTransformer3DModel), autoencoder=vae, **shared(128))


def ltx2():
    # As published: what the class takes where its configuration does not say them counts each block twice.
    vae = LTXAutoencoder(on_meta(AutoencoderKLLTX2Video, spatial_compression_ratio=32, temporal_compression_ratio=8))
    return LTX2Backbone(network=on_meta(LTX2VideoTransformer3DModel), autoencoder=vae, **shared(1024))


def cogvideox(**config):
    vae = CogVideoXAutoencoder(on_meta(AutoencoderKLCogVideoX))
    network = on_meta(CogVideoXTransformer3DModel, **config)
    return CogVideoXBackbone(network=network, autoencoder=vae, **shared(226) | {"schedule": schedule(PUBLISHED)})


COGVIDEOX_5B = {
    "num_attention_heads": 48,
    "num_layers": 42,
    "use_rotary_positional_embeddings": True,
}
FAMILIES = {
    "cogvideox-2b": cogvideox,
    "cogvideox-5b": partial(cogvideox, **COGVIDEOX_5B),
    "wan-1.3b": wan,
    "wan-14b": partial(wan, WAN_14B),
    "wan-vace-1.3b": vace,
    "wan-vace-14b": partial(vace, WAN_14B | VACE | {"vace_layers": list(range(0, 40, 5))}),
    "bernini-1.3b": bernini,
    "lucy-edit": lucy,
    "ltx-0.9": ltx,
    "ltx-2": ltx2,
}
"""Wan 2.2's networks of 14B are of the same shapes, two of them, one at a level."""


def given(backbone):
    """The shape of the clip's latents, and a condition."""
    vae, config = backbone.autoencoder, backbone.network.config
    count, rows, columns = (
        latent_count(FRAMES, vae.temporal_stride),
        ROWS // vae.pixel_stride,
        COLUMNS // vae.pixel_stride,
    )
    width = config.get("text_dim") or config.get("caption_channels") or config["text_embed_dim"]
    tokens = torch.zeros(backbone.prompt.places, width, device="meta")
    read = config.get("vace_in_channels") or backbone._read_channels
    planes = torch.zeros(count, read, rows, columns, device="meta") if read else None
    return (count, config["out_channels"], rows, columns), Condition(tokens, tokens.clone(), planes)
