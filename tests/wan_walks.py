"""Walks of diffusers' pipelines of Wan, and what they and backbones are given."""

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from einops import rearrange
from PIL import Image
from safetensors.torch import load_file

from pipelines import asked
from recast.conditions.content import ContentInput, Medium
from recast.model.folder import quiet
from recast.types import Condition

FRAMES, SIZE, LATENTS = 9, (32, 48), (3, 4, 4, 6)
WORDS = [ContentInput(Medium.WORDS, "a red ball")]


def pipeline(kind, path, transformer, **more):
    with quiet():
        network = read(path / "transformer", transformer)
        vae = AutoencoderKLWan.from_pretrained(path / "vae")
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(path / "scheduler")
        pipe = kind(tokenizer=None, text_encoder=None, vae=vae, scheduler=scheduler, transformer=network, **more)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def read(path, kind):
    network = kind.from_config(kind.load_config(path))
    network.load_state_dict(load_file(path / "diffusion_pytorch_model.safetensors"))
    return network.eval()


def conditioned(backbone, planes=None):
    return Condition(backbone.encode_content(WORDS), backbone.null_tokens(), planes)


def in_place_of_words(condition):
    """What pipelines are told in place of words, which they clean by a library that is not needed here."""
    return {"prompt_embeds": condition.cond[None], "negative_prompt_embeds": condition.uncond[None]}


def asked_wan(pipe, noise, condition, **inputs):
    size = {"height": SIZE[0], "width": SIZE[1], "num_frames": FRAMES}
    whole = rearrange(noise, "t c y x -> 1 c t y x")
    made = asked(pipe, whole, **size, **in_place_of_words(condition), **inputs)
    return [rearrange(each, "1 c t y x -> t c y x") for each in made]


def shown():
    """Depth in 8 bits, so that it is the same as pictures, and frames."""
    rng = torch.Generator().manual_seed(1)
    depth = torch.randint(0, 256, (FRAMES, 1, *SIZE), generator=rng) / 255
    return depth, torch.randint(0, 256, (FRAMES, 3, *SIZE), generator=rng, dtype=torch.uint8)


def pictures(pixels):
    """Pixels of 0..1 as pictures, which pipelines take as they are."""
    eight = (255 * pixels).round().to(torch.uint8).expand(-1, 3, -1, -1)
    return [Image.fromarray(rearrange(each, "c h w -> h w c").numpy()) for each in eight]
