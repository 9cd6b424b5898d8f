"""What tests of editors share: a tiny 2-depth, inputs for it, stretches of these, and a plain walk from inversion."""

from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from math import hypot

import torch

from recast.backbones.families import BACKBONES
from recast.backbones.tiny import write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.diffusion.inversion import ddim_inversion
from recast.diffusion.samplers import SAMPLERS, ddim
from recast.diffusion.schedule import finish
from recast.methods.knobs import as_images
from recast.model.folder import ModelFolder, quiet
from recast.types import Clip, Condition, Kind, Structure

FRAMES, SIZE, FIRST = 5, (32, 40), 20


def opened_depth(path):
    """A tiny 2-depth, an image network told words and depth, of velocities: its inversion is gentle."""
    folder = ModelFolder.found(write_stable_diffusion(path, prediction="v_prediction", depth=True))
    with quiet():
        return BACKBONES["stable_diffusion"](folder)


def inputs_of(backbone, *, frames=FRAMES, still=False, same=False, **settings):
    """still: all frames are the first. same: the wanted content is the clip's own."""
    rng = torch.Generator().manual_seed(1)
    picks = torch.zeros(frames, dtype=torch.long) if still else torch.arange(frames)
    clip = torch.randint(0, 256, (frames, 3, *SIZE), generator=rng, dtype=torch.uint8)[picks]
    maps = torch.rand(frames, 1, *SIZE, generator=rng)[picks]
    prompts = [[ContentInput(Medium.WORDS, text, 1.0)] for text in ("a dog", "a red cat")]
    (own, cond), words = map(backbone.encode_content, prompts), [backbone.prompt_tokens(each) for each in prompts]
    planes = backbone.structure_channels(Structure(Kind.DEPTH, maps))
    source = Condition(own, backbone.null_tokens(), planes, FIRST + torch.arange(frames), words=words[0])
    usual = {"steps": 4, "seed": 3, "cfg_scale": 3.0, "source": source}
    condition = source if same else replace(source, cond=cond, words=words[1])
    return DenoiseInputs(Clip(clip, Fraction(8), FIRST), condition, SAMPLERS["ddim"], **usual | settings)


def cut(inputs, start, end):
    """A stretch of the inputs, as a clip of its own from the same source."""
    picks = torch.arange(start, end)
    clip = replace(inputs.clip, frames=inputs.clip.frames[start:end], first=inputs.clip.first + start)
    return replace(inputs, clip=clip, condition=inputs.condition.at(picks), source=inputs.source.at(picks))


def images(backbone, scale):
    """Classifier-free guidance with each frame an image of its own."""
    return guided(as_images(backbone.denoise_branches), scale)


def image_walk(backbone, inputs, *hooks):
    """Inversion by the image model, and the walk back with the wanted content under hooks."""
    sigmas = backbone.sigmas(inputs.steps)
    start = backbone.encode(inputs.clip.frames) * hypot(1, sigmas[-1])
    up = ddim_inversion(images(backbone, 1.0), start, sigmas, inputs.source, refinements=1)
    with backbone.hooked(*hooks) if hooks else nullcontext():
        down = ddim(images(backbone, inputs.cfg_scale), up.trajectory[0], sigmas, inputs.condition)
    return finish(down, sigmas[-1])
