"""Self-attention over a frame and what comes of those before it, place by place: SimDA, arXiv:2308.09710."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from recast.networks.hooks import Attend, AttentionCall, SiteKind

TILE = ((4, 3, 2, 1), (3, 2, 1, 0), (2, 1, 0, 0), (1, 2, 3, 4))
"""Frames before, for the rows and columns of a tile."""


class LatentShiftAttention:
    """Each frame's places attend to the frame's own and to those of a shifted frame; equations 6 to 8.

    A shifted frame has each place from the same one 0 to 4 frames before, in a pattern of 4 x 4 places, so that a place
    sees five frames at the cost of two. Frames are those of a pass; where there is none so far before, a place is the
    frame's own, as in the published code. Differs: there the other half is not the frame but the shifted one before it.
    """

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The layer's answer with the keys and values of both frames."""
        before = frames_before(call.grid)
        own = torch.arange(len(call.k))[:, None]
        frames = torch.where(own >= before, own - before, own).to(call.k.device)
        places = torch.arange(len(before), device=call.k.device)
        k, v = (torch.cat([each, each[frames, places]], dim=1) for each in (call.k, call.v))
        return attend(replace(call, k=k, v=v))


def frames_before(grid: tuple[int, int]) -> Int[Tensor, " places"]:
    """How many frames before each place of a shifted frame is, tile by tile; the published code's pattern."""
    rows, columns = (torch.arange(side) % 4 for side in grid)
    return torch.tensor(TILE)[rows[:, None], columns].flatten()
