"""Walks of diffusers' pipelines and of backbones, for tests that compare them."""

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch.testing import assert_close
from transformers import CLIPTextModel, CLIPTokenizer

from recast.backbones.families import BACKBONES, family_of
from recast.diffusion.guidance import guided
from recast.diffusion.parameterization import Prediction, scale_input
from recast.diffusion.samplers import ddim
from recast.model.folder import ModelFolder, quiet

STEPS, SCALE = 6, 7.5
UNCHECKED = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
"""Parts that Stable Diffusion's pipelines ask for, and that nothing here needs."""


def opened(path):
    folder = ModelFolder.found(path)
    with quiet():
        return BACKBONES[family_of(folder)](folder)


def drawn(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pipeline(kind, path, **parts):
    """diffusers' own, of a folder's parts and others."""
    with quiet():
        held = {
            "unet": parts.get("unet") or UNet2DConditionModel.from_pretrained(path / "unet"),
            "vae": AutoencoderKL.from_pretrained(path / "vae"),
            "text_encoder": CLIPTextModel.from_pretrained(path / "text_encoder"),
            "tokenizer": CLIPTokenizer.from_pretrained(path / "tokenizer"),
            "scheduler": DDIMScheduler.from_pretrained(path / "scheduler", clip_sample=False),
        }
        pipe = kind(**held | parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def asked(pipe, latents, **inputs):
    """The pipeline's latents after each step."""
    kept = []

    def keep(_pipe, _step, _timestep, tensors):
        kept.append(tensors["latents"])
        return tensors

    usual = {"num_inference_steps": STEPS, "guidance_scale": SCALE, "output_type": "latent"}
    with quiet():
        pipe(latents=latents, callback_on_step_end=keep, **usual, **inputs)
    return kept


def walked(backbone, noise, denoise, condition):
    """The latents after each step, mixed as diffusers mixes them."""
    sigmas, kept = backbone.sigmas(STEPS), []

    def keep(x, sigma):
        kept.append(scale_input(x, sigma))
        return x

    start = noise * (1 + sigmas[0] ** 2) ** 0.5
    ddim(denoise, start, sigmas, condition, step_hook=keep)
    return kept


def flow_walked(backbone, noise, condition):
    """The same of a network of rectified flow, under plain guidance."""
    sigmas, kept = backbone.sigmas(STEPS), []

    def keep(x, sigma):
        kept.append(scale_input(x, sigma, Prediction.FLOW))
        return x

    denoise = guided(backbone.denoise_branches, SCALE)
    ddim(denoise, noise * (1 + sigmas[0]), sigmas, condition, step_hook=keep)
    return kept


def assert_same_walk(made, expected, tolerance):
    assert len(made) == STEPS
    for ours, theirs in zip(made, expected, strict=True):
        assert_close(ours / theirs.abs().max(), theirs / theirs.abs().max(), rtol=0, atol=tolerance)
