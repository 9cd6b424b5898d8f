"""A whole clip through Gen-1's networks at each width, with random weights: frames in, frames out, in four steps.

Depth is encoded as a picture, four denoising evaluations without guidance follow, and the autoencoder decodes: what an
edit by a distilled model takes beside the estimator of depth. Parts of it stand beside the whole.
"""

from functools import partial

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor

from recast.backbones.gen1 import Gen1Backbone
from recast.bench.case import BenchCase, BenchConfig
from recast.bench.networks import PIXELS, TOKEN_WIDTH, WIDTHS, RandomClip, random_network
from recast.diffusion.guidance import guided
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import schedule
from recast.errors import known
from recast.evaluation.meta_networks import counted
from recast.model.folder import quiet
from recast.networks.placement import placed
from recast.training.stages import SD_LEVELS
from recast.types import Condition, Kind, Latents, Structure

EVALUATIONS, TOKENS = 4, 4
AUTOENCODERS = {"tiny": (32, 32, 32, 32), "middle": (64, 128, 128, 128), "full": (128, 256, 512, 512)}
"""Channels of the autoencoder by resolution, by width; full is Stable Diffusion's."""


def cases(config: BenchConfig) -> list[BenchCase]:
    """The whole, its denoising, and its decoding."""
    width = known("width", config.width, WIDTHS)
    rows, columns = PIXELS[width]
    size = f"{width} width, {config.frames} frames of {columns}x{rows}, {EVALUATIONS} evaluations"
    clip = RandomClip(config.frames, (rows, columns), config.device, config.dtype)
    works, bare = (
        _works(width, clip),
        _works(width, RandomClip(clip.frames, clip.size, torch.device("meta"), clip.dtype)),
    )
    made = []
    for name, work in works.items():
        cost = counted(bare[name])
        made.append(BenchCase("clips", name, size, work, clip.frames, "frame", (cost.flops, cost.moved)))
    return made


def _works(width: str, clip: RandomClip) -> dict[str, partial[Tensor]]:
    backbone = _backbone(width, clip)
    with clip.device:
        depth = Structure(Kind.DEPTH, torch.rand(clip.frames, 1, *clip.size))
        noise = torch.randn(clip.frames, 4, clip.size[0] // 8, clip.size[1] // 8)
        tokens = torch.randn(TOKENS, TOKEN_WIDTH)
    condition = backbone.with_structures(Condition(tokens, tokens), [depth], EVALUATIONS)
    return {
        "whole": partial(_whole, backbone, depth, noise, tokens),
        "denoising": partial(_denoised, backbone, noise, condition),
        "decoding": partial(_decoded, backbone, noise),
    }


def _backbone(width: str, clip: RandomClip) -> Gen1Backbone:
    """With structure channels of depth's latents and of t_s, as Gen-1 has them."""
    widths = AUTOENCODERS[width]
    with clip.device, quiet():
        vae = AutoencoderKL(
            block_out_channels=widths,
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            up_block_types=("UpDecoderBlock2D",) * len(widths),
        )
    network = random_network(WIDTHS[width], clip, extra=8)
    with quiet():
        vae = placed(vae, clip.device, clip.dtype)
    return Gen1Backbone(net=network, vae=vae, schedule=schedule(SD_LEVELS))


@torch.no_grad()
def _whole(backbone: Gen1Backbone, depth: Structure, noise: Latents, tokens: Tensor) -> Tensor:
    condition = backbone.with_structures(Condition(tokens, tokens), [depth], EVALUATIONS)
    return _decoded(backbone, _denoised(backbone, noise, condition))


@torch.no_grad()
def _denoised(backbone: Gen1Backbone, noise: Latents, condition: Condition) -> Latents:
    sigmas = backbone.sigmas(EVALUATIONS)
    return ddim(guided(backbone.denoise_branches, 1.0), noise * sigmas[0], sigmas, condition)


@torch.no_grad()
def _decoded(backbone: Gen1Backbone, latents: Latents) -> Tensor:
    return backbone.decode_pixels(latents)
