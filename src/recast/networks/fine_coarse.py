"""Self-attention over a frame and, more coarsely, all others: the FFAM of EI2, arXiv:2305.17431."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.networks.hooks import Attend, AttentionCall, SiteKind

BLOCK = 2
"""Places, along each side, that are one coarse place; ours."""


class FineCoarseAttention:
    """Each frame's places attend to its own places and to coarse ones of all other frames of the pass.

    A coarse place has the mean keys and values of a block of places, which are those of the block's mean features, as
    projections are linear. Every frame is seen, at the cost of (t - 1) / 4 frames more. In windows the other frames are
    the window's. Differs: blocks and means are ours.
    """

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The layer's answer with the keys and values of all frames."""
        count = len(call.k)
        others = torch.arange(count).expand(count, -1)[~torch.eye(count, dtype=torch.bool)].view(count, count - 1)
        k, v = (
            torch.cat([fine, rearrange(coarse(fine, call.grid)[others], "f g p e -> f (g p) e")], dim=1)
            for fine in (call.k, call.v)
        )
        return attend(replace(call, k=k, v=v))


def coarse(places: Float[Tensor, "f m e"], grid: tuple[int, int]) -> Float[Tensor, "f p e"]:
    """The means of blocks of places; at an odd edge of fewer."""
    pictures = rearrange(places, "f (y x) e -> f e y x", y=grid[0])
    means = F.avg_pool2d(pictures, BLOCK, ceil_mode=True, count_include_pad=False)
    return rearrange(means, "f e y x -> f (y x) e")
