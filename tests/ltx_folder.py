"""A tiny folder of LTX-Video: LTXPipeline's."""

import json

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import AutoencoderKLLTXVideo
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformer3DModel
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from transformers import T5Config, T5EncoderModel

from recast.model.folder import quiet
from t5_folder import TINY, write_t5

PUBLISHED = {
    "base_image_seq_len": 1024,
    "base_shift": 0.95,
    "max_image_seq_len": 4096,
    "max_shift": 2.05,
    "shift_terminal": 0.1,
    "use_dynamic_shifting": True,
}
"""What LTX-Video's published scheduler is."""


def write_ltx(path, *, conditioned=False, seed=0):
    """Writes the folder and returns it. conditioned: a decoder that reads how much noise is left, as since 0.9.1."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        shape = {"num_attention_heads": 2, "attention_head_dim": 12, "cross_attention_dim": 24, "num_layers": 2}
        network = LTXVideoTransformer3DModel(in_channels=4, out_channels=4, caption_channels=16, **shape)
        network.save_pretrained(path / "transformer")
        tiny_ltx_vae(conditioned=conditioned).save_pretrained(path / "vae")
        write_t5(path, T5EncoderModel(T5Config(**TINY)))
        FlowMatchEulerDiscreteScheduler(**PUBLISHED).save_pretrained(path / "scheduler")
    (path / "model_index.json").write_text(json.dumps({"_class_name": "LTXPipeline"}))
    (path / "recast.json").write_text(json.dumps({"short_side": 32, "window": 9, "steps": 2, "fps": 8}))
    return path


def tiny_ltx_vae(*, conditioned=False):
    """Four frames a latent, eight pixels, four channels whose scales are not one."""
    names = ("spatio_temporal_scaling", "decoder_spatio_temporal_scaling")
    vae = AutoencoderKLLTXVideo(
        latent_channels=4,
        block_out_channels=(8, 8, 8),
        down_block_types=("LTXVideoDownBlock3D",) * 3,
        decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        decoder_inject_noise=(False,) * 4,
        downsample_type=("conv",) * 3,
        upsample_residual=(False,) * 3,
        upsample_factor=(1,) * 3,
        timestep_conditioning=conditioned,
        patch_size=2,
        **dict.fromkeys(names, (True, True, False)),
    )
    vae.latents_mean.copy_(torch.tensor([0.1, -0.1, 0.2, 0.0]))
    vae.latents_std.copy_(torch.tensor([0.9, 1.1, 1.2, 0.8]))
    return vae
