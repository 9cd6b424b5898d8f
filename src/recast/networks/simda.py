"""Narrow residual adapters in an image UNet, over places and over frames: SimDA, arXiv:2308.09710."""

import torch.nn.functional as F
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from einops import rearrange
from torch import Tensor, nn

from recast.networks.temporal import Features

ADAPTER = "adapter"
"""Name, in a layer of a transformer's block, of the adapter behind or beside it; weights' names know it by that."""
NARROWER = 4
"""How many times fewer channels an adapter has inside; ours."""


class SpatialAdapter(nn.Module):
    """Down, GELU, and up: what is added to a layer's answer, nothing until it is trained."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = _projections(channels)

    def forward(self, x: Tensor) -> Tensor:
        """What is added; channels last."""
        return self.up(F.gelu(self.down(x)))


class TemporalAdapter(nn.Module):
    """Residual: down, a depthwise convolution over three frames in GELU's place, and up; no effect until trained.

    Differs: it follows the transformer, where the paper's stands before its self-attention.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = _projections(channels)
        width = channels // NARROWER
        self.over_frames = nn.Conv1d(width, width, 3, padding=1, groups=width)

    def forward(self, x: Features) -> Features:
        """Features of whole clips, changed."""
        _, _, _, h, w = x.shape
        narrow = self.down(rearrange(x, "b t c h w -> (b h w) t c"))
        added = self.up(self.over_frames(narrow.mT).mT)
        return x + rearrange(added, "(b h w) t c -> b t c h w", h=h, w=w)


def add_spatial_adapters(transformer: Transformer2DModel) -> None:
    """Puts an adapter behind self-attention and one beside the feed-forward layer of each block, for good.

    Differs: both of the latter read normalized features, where the published adapter reads them as they are.
    """
    for block in transformer.transformer_blocks:
        for layer, hook in ((block.attn1, _behind), (block.ff, _beside)):
            weight = block.attn1.to_q.weight
            adapter = SpatialAdapter(weight.shape[1]).to(weight.device, weight.dtype)
            layer.add_module(ADAPTER, adapter.train(layer.training))
            layer.register_forward_hook(hook)


def _behind(layer: nn.Module, _inputs: object, answer: Tensor) -> Tensor:
    return answer + layer.get_submodule(ADAPTER)(answer)


def _beside(layer: nn.Module, inputs: tuple[Tensor, ...], answer: Tensor) -> Tensor:
    return answer + layer.get_submodule(ADAPTER)(inputs[0])


def _projections(channels: int) -> tuple[nn.Linear, nn.Linear]:
    width = channels // NARROWER
    up = nn.Linear(width, channels)
    for weight in up.parameters():
        nn.init.zeros_(weight)
    return nn.Linear(channels, width), up
