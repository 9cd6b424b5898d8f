"""Tiny folders of Wan: WanPipeline's, LucyEditPipeline's and Bernini's; WanVACEPipeline's has a depth estimator too."""

import json

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from transformers import UMT5Config, UMT5EncoderModel

from recast.backbones.tiny import write_depth_estimator
from recast.model.folder import quiet
from t5_folder import TINY, write_t5

SHAPE = {"num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 16}
SHAPE |= {"freq_dim": 16, "ffn_dim": 32, "num_layers": 2, "rope_max_seq_len": 32}
PUBLISHED = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
"""What Wan's published schedulers are."""


def write_wan(path, *, vace=False, lucy=False, bernini=False, two=False, unipc=True, seed=0):
    """Writes the folder and returns it. two: a second transformer for little noise, as Wan 2.2 has it."""
    scheduler = UniPCMultistepScheduler(**PUBLISHED) if unipc else FlowMatchEulerDiscreteScheduler(shift=3.0)
    more = {"vace_layers": [0, 1], "vace_in_channels": 72} if vace else {"in_channels": 8} if lucy else {}
    kind = WanVACETransformer3DModel if vace else WanTransformer3DModel
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        for name in ("transformer", "transformer_2")[: 2 if two else 1]:
            kind(**SHAPE | more).save_pretrained(path / name)
        tiny_wan_vae().save_pretrained(path / "vae")
        write_t5(path, UMT5EncoderModel(UMT5Config(**TINY)))
        scheduler.save_pretrained(path / "scheduler")
        if vace:
            write_depth_estimator(path / "depth_estimator", path / "depth_estimator")
    kinds = {"WanVACEPipeline": vace, "LucyEditPipeline": lucy, "BerniniRendererPipeline": bernini}
    name = next((kind for kind, asked in kinds.items() if asked), "WanPipeline")
    (path / "model_index.json").write_text(json.dumps({"_class_name": name} | ({"boundary_ratio": 0.8} if two else {})))
    (path / "recast.json").write_text(json.dumps({"short_side": 32, "window": 9, "steps": 2}))
    return path


def tiny_wan_vae():
    """Four frames a latent, eight pixels, four channels whose scales are not one."""
    scales = {"latents_mean": [0.1, -0.1, 0.2, 0.0], "latents_std": [0.9, 1.1, 1.2, 0.8]}
    return AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, **scales)
