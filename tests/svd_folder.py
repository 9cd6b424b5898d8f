"""A tiny folder of Stable Video Diffusion: StableVideoDiffusionPipeline's, of the real classes."""

import json

import torch
from diffusers.models.autoencoders.autoencoder_kl_temporal_decoder import AutoencoderKLTemporalDecoder
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from recast.model.folder import quiet

SCHEDULER = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "sigma_max": 700.0,
    "sigma_min": 0.002,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "timestep_type": "continuous",
    "use_karras_sigmas": True,
}
"""As published."""


def write_svd(path, scheduler=None, **config):
    """Writes the folder and returns it. scheduler: entries that differ. config: of the network."""
    vision = {"hidden_size": 12, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2}
    vision |= {"projection_dim": 16, "image_size": 224, "patch_size": 56, "initializer_factor": 4.0}
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(5)
        parts = {
            "unet": tiny_network(**config),
            "vae": roughened(tiny_temporal_vae()),
            "image_encoder": CLIPVisionModelWithProjection(CLIPVisionConfig(**vision)),
            "feature_extractor": CLIPImageProcessorPil(),
            "scheduler": EulerDiscreteScheduler(**SCHEDULER | (scheduler or {})),
        }
        for name, part in parts.items():
            part.save_pretrained(path / name)
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableVideoDiffusionPipeline"}))
    own = {"short_side": 32, "frames": 16, "fps": 7, "cfg_scale": 3.0, "method": "flowedit", "structures": []}
    own |= {"method_defaults": {"text-to-video": {"first_cfg": 1.0}}}
    (path / "recast.json").write_text(json.dumps(own))
    return path


def tiny_network(**config):
    sizes = {"sample_size": 4, "block_out_channels": (32, 64), "layers_per_block": 1, "num_attention_heads": (2, 4)}
    sizes |= {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 24, "cross_attention_dim": 16}
    kinds = {"down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal")}
    kinds |= {"up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), "num_frames": 16}
    return roughened(UNetSpatioTemporalConditionModel(**sizes | kinds | config))


def tiny_temporal_vae():
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "block_out_channels": (32,) * 4}
    return AutoencoderKLTemporalDecoder(**blocks, layers_per_block=1, latent_channels=4, sample_size=32)


def roughened(network):
    """All that is zero when it is made is moved off it, as training would."""
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.add_(0.1 * torch.randn_like(weight))
    return network.eval()
