"""What tests of tuning share: tiny backbones, and a clip as they see it."""

from copy import deepcopy
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from animatediff_folder import write_animatediff
from recast.backbones import animatediff, stable_diffusion
from recast.backbones.tiny import tiny, write_stable_diffusion
from recast.denoising import Branch
from recast.model.folder import ModelFolder
from recast.tuning.config import TuneConfig
from recast.tuning.tuner import CachedClip
from recast.types import Clip, Condition, Kind, Structure

FRAMES = 3
BASE = {"name": "tiny", "digest": "0" * 64}


def opened(family):
    """A tiny backbone of a family, conditioned on depth: gen1, sd (2-depth) or animatediff (with a ControlNet).

    The same one each time, and the caller's own to change.
    """
    return deepcopy(untouched(family)[0])


@cache
def untouched(family):
    """The backbone that `opened` copies, and its folder, which lies there as long as it is used."""
    folder = TemporaryDirectory()
    if family == "gen1":
        return tiny(), folder
    if family == "animatediff":
        return animatediff.opened(ModelFolder.found(write_animatediff(Path(folder.name), depth=True))), folder
    return stable_diffusion.opened(ModelFolder.found(write_stable_diffusion(Path(folder.name), depth=True))), folder


def moving(frames=FRAMES, side=16):
    """A bright square that moves over noise."""
    ground = torch.randint(0, 128, (3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    clip = ground.expand(frames, -1, -1, -1).clone()
    for index in range(frames):
        clip[index, :, 4:10, index : index + 6] = 230
    return Clip(clip, Fraction(8))


def cached(backbone, frames=FRAMES, base=BASE):
    """The clip as a network sees it."""
    clip, rng = moving(frames), torch.Generator().manual_seed(1)
    tokens = backbone.prompt("a dog") if hasattr(backbone, "prompt") else backbone.embedding_tokens(torch.ones(12))
    condition = Condition(tokens, backbone.null_tokens(), frames=torch.arange(frames))
    if backbone.structure_kinds:
        depth = Structure(Kind.DEPTH, torch.rand(frames, 1, *clip.size, generator=rng))
        condition = backbone.with_structures(condition, [depth], 10)
    return CachedClip(backbone.encode(clip.frames), condition, "a dog", base)


def quick(**settings):
    """A short tuning."""
    return TuneConfig(**{"steps": 3, "frames": FRAMES, "rate": 3e-3, "precision": "fp32"} | settings)


@torch.no_grad()
def denoised(backbone, clip, hooks=(), sigma=2.0):
    """What a backbone makes of the clip with noise on it."""
    noise = torch.randn(clip.latents.shape, generator=torch.Generator().manual_seed(2))
    with backbone.hooked(*hooks):
        [answer] = backbone.denoise_branches(
            clip.latents + sigma * noise, sigma, clip.condition, [Branch(clip.condition.cond)]
        )
    return answer
