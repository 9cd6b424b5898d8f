"""A tiny folder of ModelScope: TextToVideoSDPipeline's, whose UNet has layers over time of its own."""

import json

import torch
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from recast.backbones.tiny import PUBLISHED_SCHEDULER, write_stable_diffusion
from recast.model.folder import quiet


def write_modelscope(path, **config):
    """Writes the folder and returns it."""
    write_stable_diffusion(path)
    for file in (path / "unet").iterdir():
        file.unlink()
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(4)
        tiny_unet_3d(**config).save_pretrained(path / "unet")
        DDIMScheduler(**PUBLISHED_SCHEDULER, clip_sample=False).save_pretrained(path / "scheduler")
    (path / "model_index.json").write_text(json.dumps({"_class_name": "TextToVideoSDPipeline"}))
    (path / "recast.json").write_text(json.dumps({"short_side": 32, "frames": 16}))
    return path


def tiny_unet_3d(**config):
    """All that is zero when it is made is moved off it, as training would."""
    sizes = {"sample_size": 4, "block_out_channels": (16, 32), "layers_per_block": 1, "attention_head_dim": 8}
    kinds = {"down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D")}
    kinds |= {"up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D")}
    unet = UNet3DConditionModel(**sizes | kinds | {"cross_attention_dim": 16, "norm_num_groups": 8} | config)
    with torch.no_grad():
        for weight in unet.parameters():
            if not weight.any():
                weight.add_(0.1 * torch.randn_like(weight))
    return unet.eval()
