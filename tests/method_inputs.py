"""What contracts of methods share: inputs of one clip, conditioned on its depth."""

from dataclasses import fields, make_dataclass, replace
from fractions import Fraction

import torch

from recast.denoising import DenoiseInputs
from recast.diffusion.samplers import SAMPLERS
from recast.methods import METHODS
from recast.methods.needs import Need
from recast.types import Clip, Condition, Kind, Structure

FRAMES = 4


def fitting_once(method):
    """The method, which fits null tokens or points in one iteration, where it fits any: contracts ask for no more."""
    if "fit_iterations" not in {field.name for field in fields(method)}:
        return method
    once = [("fit_iterations", int, 1)]
    return make_dataclass(method.__name__, once, bases=(method,), frozen=True, kw_only=True)


OTHERS = frozenset({Need.PICTURE, Need.FIRST_FRAME})
ABLE = {name: fitting_once(method) for name, method in METHODS.items() if not method.needs & OTHERS}
"""Methods that need no other family than the tiny backbone's."""


def inputs_of(backbone, frames=FRAMES, **settings):
    generator = torch.Generator().manual_seed(0)
    clip = Clip(torch.randint(0, 256, (frames, 3, 32, 40), generator=generator, dtype=torch.uint8), Fraction(8))
    structure = Structure(Kind.DEPTH, torch.rand(frames, 1, 32, 40, generator=generator), detail=1.5)
    cond = backbone.embedding_tokens(torch.randn(12, generator=generator))
    channels = backbone.structure_channels(structure)
    condition = Condition(cond, backbone.null_tokens(), channels, torch.arange(frames))
    source = replace(condition, cond=backbone.embedding_tokens(torch.randn(12, generator=generator)))
    usual = {"sampler": SAMPLERS["ddim"], "steps": 2, "window": 4, "seed": 7, "source": source, "cfg_scale": 6.0}
    return DenoiseInputs(clip, condition, **usual | settings)
