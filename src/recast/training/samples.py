"""Samples of a generator during training, as one picture: source frames above, samples below."""

from collections.abc import Sequence

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange, repeat
from torch import nn

from recast.backbones.gen1 import Gen1Backbone
from recast.conditions.detail import detail_channels
from recast.data.datasets import DataMix
from recast.data.examples import Example, ExampleSource
from recast.denoising import Branch
from recast.diffusion.samplers import ddim
from recast.engine.monitor import ImagePixels, SampleDrawer
from recast.engine.rng import device_of, normal_noise, row_rng
from recast.networks.generator import Generator
from recast.training.stages import GeneratorStage
from recast.types import Condition, Frames, Latents, Maps

EXAMPLES, STEPS = 3, 8


def drawn(sources: Sequence[ExampleSource], stage: GeneratorStage, vae: AutoencoderKL) -> SampleDrawer:
    """Draws samples for three examples of the stage's data: eight sampling steps, without guidance.

    Content is the example's first embedding; the noise is the same each time. Of a clip, the first and last frame are
    shown. Raises RequestError as `DataMix.of` does.
    """
    frames = stage.batches.frames if stage.batches.clips else 1
    mix = DataMix.of(sources, frames)
    source = (mix.clips or mix.pictures)[0]
    chosen = [source.example(which * len(source) // EXAMPLES) for which in range(min(EXAMPLES, len(source)))]
    schedule = stage.schedule()

    def samples(network: nn.Module) -> ImagePixels:
        assert isinstance(network, Generator)
        device = device_of(network)
        nn.Module.to(vae.eval(), device)
        backbone = Gen1Backbone(net=network.net, vae=vae, schedule=schedule, projection=network.projection)
        rows = [[], []]
        for number, example in enumerate(chosen):
            clean = example.latents()[:frames]
            noise = normal_noise(row_rng(stage.seed, 0, number), clean.shape)
            made = _made(backbone, example, noise.to(device), structure=stage.structure)
            for row, latents in zip(rows, (clean, made), strict=True):
                row.extend(_ends(backbone.decode(latents)))
        return rearrange(torch.stack([torch.stack(row) for row in rows]), "made n c h w -> c (made h) (n w)")

    return samples


def _made(backbone: Gen1Backbone, example: Example, noise: Latents, *, structure: bool) -> Latents:
    tokens = backbone.embedding_tokens(example.embeddings[0].float())
    channels = _structure_channels(example, len(noise)).to(noise) if structure else None
    branch = Branch(tokens, temporal=len(noise) > 1)

    def denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
        return backbone.denoise_branches(x, sigma, condition, [branch])[0]

    sigmas = backbone.sigmas(STEPS)
    return ddim(denoise, sigmas[0] * noise, sigmas, Condition(tokens, backbone.null_tokens(), channels))


def _structure_channels(example: Example, frames: int) -> Maps:
    """Structure latents at t_s = 0, and the channels that embed t_s."""
    latents = example.structure[0, :frames].float()
    channels = detail_channels(example.levels[0], (latents.shape[-2], latents.shape[-1]))
    return torch.cat([latents, repeat(channels, "c y x -> t c y x", t=frames)], dim=1)


def _ends(frames: Frames) -> list[ImagePixels]:
    """The first frame and the last, or the only one."""
    return [frames[0], frames[-1]] if len(frames) > 1 else [frames[0]]
