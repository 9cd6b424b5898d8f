"""Words looked at inside of boxes alone, and two contents of which each has its places."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.networks.attention_recipes import frames_of
from recast.networks.hooks import Attend, AttentionCall, SiteKind


@dataclass(frozen=True, eq=False)
class GroundedWords:
    """Cross-attention in which content tokens do not exist for places outside of a mask.

    tokens: by place. masks: by absolute number of the frame, 1 inside; a place of a coarser grid is inside where any
    of it is. branch: the edit's that is changed, the others are left alone.
    """

    tokens: tuple[int, ...]
    masks: Mapping[int, Float[Tensor, "1 h w"]]
    branch: int = 0

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In cross-attention."""
        return kind is SiteKind.CROSS

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer; outside, other tokens share the words' part, as if their keys were infinitely unlike."""
        if call.branch != self.branch:
            return attend(call)
        masks = _at_frames(self.masks, call)
        inside = rearrange(F.adaptive_max_pool2d(masks, call.grid), "b 1 y x -> b 1 (y x) 1").to(call.q)
        keep = torch.ones(call.k.shape[1]).to(call.q)
        keep[list(self.tokens)] = 0
        maps = call.probabilities()
        without = maps * keep
        return call.weighted(torch.lerp(without / without.sum(-1, keepdim=True), maps, inside))


@dataclass(frozen=True, eq=False)
class MaskedContents:
    """Cross-attention to two contents behind each other: inside of a mask to the first one, outside to the second.

    first, second: tokens of each; calls of another number of tokens, as of no content, are answered as they are. masks:
    by absolute number of the frame, 1 inside; a place of a coarser grid has the share of it that is inside.
    """

    first: int
    second: int
    masks: Mapping[int, Float[Tensor, "1 h w"]]

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In cross-attention."""
        return kind is SiteKind.CROSS

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answers to both contents, by the mask."""
        if call.k.shape[1] != self.first + self.second:
            return attend(call)
        parts = (slice(self.first), slice(self.first, None))
        inside, outside = (attend(replace(call, k=call.k[:, part], v=call.v[:, part])) for part in parts)
        shares = F.adaptive_avg_pool2d(_at_frames(self.masks, call), call.grid)
        return torch.lerp(outside, inside, rearrange(shares, "b 1 y x -> b (y x) 1").to(inside))


def _at_frames(masks: Mapping[int, Float[Tensor, "1 h w"]], call: AttentionCall) -> Float[Tensor, "b 1 h w"]:
    return torch.stack([masks[frame] for frame in frames_of(call)])
