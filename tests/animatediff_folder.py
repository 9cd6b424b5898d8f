"""A tiny folder of AnimateDiff: Stable Diffusion's, with a motion adapter and, where asked for, a depth ControlNet."""

import json

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from recast.backbones.tiny import PUBLISHED_SCHEDULER, write_depth_estimator, write_stable_diffusion
from recast.model.folder import quiet


def write_animatediff(path, *, depth=False, whole=False):
    """Writes the folder and returns it. whole: unet/ is a UNetMotionModel, as AnimateDiffPipeline saves it."""
    write_stable_diffusion(path)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(1)
        adapter, unet = tiny_adapter(), UNet2DConditionModel.from_pretrained(path / "unet")
        adapter.save_pretrained(path / "motion_adapter")
        if whole:
            UNetMotionModel.from_unet2d(unet, adapter).save_pretrained(path / "unet")
        if depth:
            tiny_controlnet(unet).save_pretrained(path / "controlnet")
            write_depth_estimator(path / "depth_estimator", path / "depth_estimator")
    kind = "AnimateDiffControlNetPipeline" if depth else "AnimateDiffPipeline"
    (path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    return path


def write_gen1_zero(path):
    """The same with depth, motion modules' own linear levels, and the image model's beside them."""
    write_animatediff(path, depth=True)
    DDIMScheduler(**PUBLISHED_SCHEDULER | {"beta_schedule": "linear"}, clip_sample=False).save_pretrained(
        path / "scheduler"
    )
    DDIMScheduler(**PUBLISHED_SCHEDULER, clip_sample=False).save_pretrained(path / "image_scheduler")
    return path


def tiny_adapter(**settings):
    """Motion modules for the tiny UNet, random as diffusers makes them: none is zero."""
    shape = {"block_out_channels": (16, 32), "motion_layers_per_block": 1, "motion_num_attention_heads": 2}
    return MotionAdapter(**shape | {"motion_norm_num_groups": 8, "motion_max_seq_length": 16} | settings)


def tiny_controlnet(unet):
    """A ControlNet of the UNet, its last layers moved off zero, as training would."""
    net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 4, 8, 8))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return net
