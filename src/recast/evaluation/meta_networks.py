"""A backbone's networks on PyTorch's meta device: what an evaluation of them takes, counted by shapes alone."""

from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recast.backbones.backbone import Backbone
from recast.backbones.video_autoencoder import VideoAutoencoder
from recast.backbones.video_control import VideoControl, VideoControlBackbone
from recast.denoising import Branch
from recast.evaluation.metrics.cost import Call
from recast.training.cost import fused_attention
from recast.training.live_memory import Alive
from recast.types import Condition, Kind, Structure

SIGMA = 1.0
"""Of the level that is counted at; all levels take the same."""


@dataclass(frozen=True)
class NetworkCost:
    """Of one evaluation. flops: twice the multiply-adds. alive: peak bytes besides weights and what was given.

    moved: bytes that operators read and write.
    """

    flops: float
    alive: int
    moved: int = 0


@dataclass(frozen=True, eq=False)
class MetaNetworks:
    """The networks of a backbone without numbers, and what they are given. kinds: of the structures of an edit."""

    backbone: Backbone
    kinds: tuple[Kind, ...]

    @classmethod
    def of(cls, backbone: Backbone, kinds: tuple[Kind, ...]) -> "MetaNetworks":
        """Of a backbone, which is unchanged."""
        bare, memo = copy(backbone), dict[int, object]()
        held = {name: value for name, value in vars(backbone).items() if _networks(value)}
        for value in held.values():
            for network in _networks(value):
                memo |= {id(weight): _on_meta(weight) for weight in (*network.parameters(), *network.buffers())}
        # Contexts of passes are fields of the backbone and parts of its networks: they stay one object.
        shared = {name: value for name, value in vars(backbone).items() if type(value).__name__.endswith("Context")}
        for name, value in deepcopy(held | shared, memo).items():
            object.__setattr__(bare, name, value)
        return cls(bare, kinds)

    def denoising(self, call: Call, factor: int) -> NetworkCost:
        """Of one call. factor: pixels a latent is wide."""
        frames, _, rows, columns = call.shape
        with torch.device("meta"):
            tokens = [torch.empty(shape) for shape, *_ in call.branches]
            whole = 1 + self.backbone.temporal_stride * (frames - 1)
            condition = self._conditioned(Condition(tokens[0], tokens[0]), (whole, 3, rows * factor, columns * factor))
            x = torch.empty(call.shape)
        branches = [Branch(given, *flags) for given, (_, *flags) in zip(tokens, call.branches, strict=True)]
        return counted(lambda: self.backbone.denoise_branches(x, SIGMA, condition, branches))

    def structuring(self, size: tuple[int, int]) -> NetworkCost:
        """Of one frame's structures of `size` rows and columns, as the network reads them."""
        with torch.device("meta"):
            bare = Condition(torch.empty(1, 1), torch.empty(1, 1))
        return counted(lambda: self._conditioned(bare, (1, 3, *size)))

    def _conditioned(self, condition: Condition, clip: tuple[int, int, int, int]) -> Condition:
        """The condition with all that the network reads of a clip of this shape."""
        frames, _, rows, columns = clip
        with torch.device("meta"):
            maps = [Structure(kind, torch.empty(frames, kind.channels, rows, columns)) for kind in self.kinds]
            if isinstance(self.backbone, VideoControlBackbone):
                video = VideoControl(torch.empty(clip, dtype=torch.uint8), maps)
                return self.backbone.with_control_video(condition, video, 1)
            return self.backbone.with_structures(condition, maps, 1) if maps else condition

    def encoding(self, size: tuple[int, int]) -> NetworkCost:
        """Of one frame of `size` rows and columns."""
        return counted(lambda: self.backbone.encode_pixels(torch.empty(1, 3, *size, device="meta")))

    def decoding(self, latents: tuple[int, ...]) -> NetworkCost:
        """Of one frame's latents [c y x]; what is alive is of as many frames as are decoded at once."""
        count = getattr(self.backbone, "decoded_at_once", 1)
        cost = counted(lambda: self.backbone.decode_pixels(torch.empty(count, *latents, device="meta")))
        return NetworkCost(cost.flops / count, cost.alive)


def counted(work: Callable[[], object]) -> NetworkCost:
    """Of what is done to tensors of the meta device, with attention as fused kernels do it, and no gradients."""
    counter, alive = FlopCounterMode(display=False), Alive()
    with torch.no_grad(), fused_attention(), counter, alive:
        work()
    return NetworkCost(counter.get_total_flops(), alive.most, alive.moved)


def _networks(value: object) -> list[nn.Module]:
    if isinstance(value, nn.Module):
        return [value]
    if isinstance(value, VideoAutoencoder):
        return [value.network]
    if isinstance(value, Mapping):
        return [each for each in value.values() if isinstance(each, nn.Module)]
    return []


def _on_meta(weight: torch.Tensor) -> torch.Tensor:
    bare = torch.empty_like(weight, device="meta")
    return nn.Parameter(bare, requires_grad=False) if isinstance(weight, nn.Parameter) else bare
