"""What laws of difference methods share: a backbone that answers linearly, and the inputs of an edit."""

from dataclasses import replace
from fractions import Fraction

import torch

from recast.backbones.tiny import tiny
from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import SAMPLERS
from recast.types import Clip, Condition, Kind, Structure

FRAMES = 3


class Linear:
    """A backbone whose prediction is `gain` x plus the content's number; its latents are the frames' first channel."""

    def __init__(self, gain: float) -> None:
        self.gain = gain
        self.max_frames = 16
        self.real = tiny(0)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    def denoise_branches(self, x, _sigma, _condition, branches):
        return [self.gain * x + branch.tokens.flatten()[0] for branch in branches]


def clip_inputs(backbone, **settings):
    generator = torch.Generator().manual_seed(1)
    clip = Clip(torch.randint(0, 256, (FRAMES, 3, 32, 40), generator=generator, dtype=torch.uint8), Fraction(8))
    channels = backbone.structure_channels(Structure(Kind.DEPTH, torch.rand(FRAMES, 1, 32, 40, generator=generator)))
    wanted, own = (backbone.embedding_tokens(torch.randn(12, generator=generator)) for _ in range(2))
    condition = Condition(wanted, backbone.null_tokens(), channels, torch.arange(FRAMES))
    usual = {"steps": 5, "seed": 3, "cfg_scale": 1.0, "source": replace(condition, cond=own)}
    return DenoiseInputs(clip, condition, SAMPLERS["ddim"], **usual | settings)


def pushed(inputs):
    """How much further the wanted content's number pushes than the source's."""
    return (inputs.condition.cond.flatten()[0] - inputs.source.cond.flatten()[0]).item()
