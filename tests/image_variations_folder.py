"""Tiny folders of image variations: the pipeline's own, and that with what gen1-clip has besides."""

import json
from shutil import rmtree

import torch
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_unclip import UnCLIPScheduler
from transformers import CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from animatediff_folder import tiny_adapter, tiny_controlnet
from recast.backbones.tiny import PUBLISHED_SCHEDULER, tiny_text_config, write_depth_estimator, write_stable_diffusion
from recast.model.folder import quiet

WIDTH = 16
KARLO = {"clip_sample_range": 5.0, "prediction_type": "sample", "variance_type": "fixed_small_log"}
"""What Karlo's prior_scheduler is, as published."""


def write_image_variations(path):
    """Writes the published layout: an image encoder, and no text encoder."""
    write_stable_diffusion(path)
    for words in ("text_encoder", "tokenizer"):
        rmtree(path / words)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(3)
        vision = {"hidden_size": 12, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2}
        vision |= {"projection_dim": WIDTH, "image_size": 16, "patch_size": 8, "initializer_factor": 4.0}
        CLIPVisionModelWithProjection(CLIPVisionConfig(**vision)).save_pretrained(path / "image_encoder")
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16).save_pretrained(path / "feature_extractor")
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionImageVariationPipeline"}))
    return path


def write_gen1_clip(path, *, words=False):
    """The same with motion modules, a depth ControlNet and its text encoder. words: with a prior in Karlo's layout."""
    write_stable_diffusion(path / "words")
    write_image_variations(path)
    for part in ("text_encoder", "tokenizer"):
        (path / "words" / part).rename(path / part)
    rmtree(path / "words")
    (path / "scheduler").rename(path / "image_scheduler")
    linear = PUBLISHED_SCHEDULER | {"beta_schedule": "linear"}
    DDIMScheduler(**linear, clip_sample=False).save_pretrained(path / "scheduler")
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(4)
        tiny_adapter().save_pretrained(path / "motion_adapter")
        tiny_controlnet(UNet2DConditionModel.from_pretrained(path / "unet")).save_pretrained(path / "controlnet")
        write_depth_estimator(path / "depth_estimator", path / "depth_estimator")
        if words:
            add_prior(path)
    return path


def add_prior(path):
    """Writes prior, prior_scheduler and text_encoder as in UnCLIPPipeline's folder of Karlo."""
    prior = PriorTransformer(2, 8, 2, embedding_dim=WIDTH, num_embeddings=77)
    torch.nn.init.normal_(prior.prd_embedding)
    prior.clip_mean.data, prior.clip_std.data = torch.full((1, WIDTH), 0.5), torch.full((1, WIDTH), 2.0)
    prior.save_pretrained(path / "prior")
    UnCLIPScheduler(**KARLO).save_pretrained(path / "prior_scheduler")
    rmtree(path / "text_encoder")
    text = CLIPTextModelWithProjection(tiny_text_config(width=WIDTH, places=77))
    text.save_pretrained(path / "text_encoder")
