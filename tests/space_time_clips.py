"""Networks of trained systems on random latents: conditions, and what they predict."""

import torch

from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.types import Condition, Kind, Structure

FRAMES, SIDE = 5, 64
LATENTS = (FRAMES, 4, SIDE // 8, SIDE // 8)


def drawn(*shape, seed=0):
    """Random numbers of a shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditioned(backbone, structures=(), **more):
    """A condition with words, and maps of these kinds."""
    words = backbone.encode_content([ContentInput(Medium.WORDS, "a red ball")])
    condition = Condition(words, backbone.null_tokens(), **more)
    maps = [Structure(Kind(kind), torch.rand(FRAMES, Kind(kind).channels, SIDE, SIDE)) for kind in structures]
    return backbone.with_structures(condition, maps, 8) if maps else condition


def predicted(backbone, condition, x=None, **branch):
    """What one branch predicts, of random latents where none are given."""
    x = drawn(*LATENTS) if x is None else x
    return backbone.denoise_branches(x, 1.5, condition, [Branch(condition.cond, **branch)])[0]
