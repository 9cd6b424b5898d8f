"""A backbone whose network computes its deep blocks every few steps only: DeepCache, arXiv:2312.00858."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import torch

from recast.backbones.backbone import Backbone
from recast.backbones.memory import networks_of
from recast.denoising import Branch
from recast.diffusion.guidance import BranchDenoiser
from recast.errors import BackboneError
from recast.networks.deep_features import deep_blocks, recorded, replayed
from recast.types import Condition, Latents

PassKey = tuple[object, ...]
"""What two calls at different noise levels have in common if they are of the same frames, in the same turn."""


def with_deep_cache(denoise_branches: BranchDenoiser, backbone: Backbone, every: int) -> BranchDenoiser:
    """The same with deep features kept: they are computed at the first of each `every` noise levels that follow.

    Lossy: pictures change, the more the further levels lie apart. 1 is the denoiser itself. Passes that carry a
    gradient, and a walk that goes up, are computed whole. Kept are a feature map of each call at one level.
    Differs: all levels are counted alike (the paper also spaces them unevenly).
    Raises BackboneError for a network that is no UNet, or has no deep blocks.
    """
    if every == 1:
        return denoise_branches
    memory = _Memory(every)
    unets = [each for each in networks_of(backbone) for each in _unets(each)]
    blocks = deep_blocks(unets[0]) if unets else []
    if not blocks:
        raise BackboneError("the model's network has no deep blocks to keep; leave deep_cache out")

    def denoise_with_deep_cache(
        x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        if torch.is_grad_enabled():
            return denoise_branches(x, sigma, condition, branches)
        frames = None if condition.frames is None else tuple(condition.frames.tolist())
        key = memory.key(sigma, (frames, x.shape, *(branch.way for branch in branches)))
        if key in memory.kept:
            with replayed(blocks, memory.kept[key]):
                return denoise_branches(x, sigma, condition, branches)
        with recorded(blocks) as answers:
            clean = denoise_branches(x, sigma, condition, branches)
        memory.kept[key] = answers
        return clean

    return denoise_with_deep_cache


@dataclass
class _Memory:
    """What was kept at the last level that was computed whole. turns: calls at the level at hand, by what they ask."""

    every: int
    sigma: float = inf
    levels: int = -1
    kept: dict[PassKey, Any] = field(default_factory=dict)
    turns: Counter[PassKey] = field(default_factory=Counter)

    def key(self, sigma: float, asked: PassKey) -> PassKey:
        """Of the next call. What is kept is forgotten where a level is to be computed whole."""
        if sigma != self.sigma:
            self.levels = self.levels + 1 if sigma < self.sigma else 0
            self.sigma = sigma
            self.turns.clear()
            if self.levels % self.every == 0:
                self.kept.clear()
        self.turns[asked] += 1
        return (self.turns[asked], *asked)


def _unets(network: torch.nn.Module) -> list[Any]:
    parts = ("down_blocks", "mid_block", "up_blocks")
    return [module for module in network.modules() if all(hasattr(module, part) for part in parts)]
