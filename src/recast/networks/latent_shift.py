"""Self-attention over a frame and what comes of those before it, place by place: SimDA, arXiv:2308.09710."""

from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from recast.networks.hooks import Attend, AttentionCall, SiteKind


class LatentShiftAttention:
    """Each frame's places attend to the frame's own and to those of a shifted frame; equations 6 to 8.

    A shifted frame has each place from the same one 0 to 4 frames before, in a pattern of 4 x 4 places, so that a place
    sees five frames at the cost of two. Frames are those of a pass, its first where there is none so far before.
    Differs: which place comes from which frame is ours, row by row; in the published code the first frame's come from
    the clip's end.
    """

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The layer's answer with the keys and values of both frames."""
        before = frames_before(call.grid)
        frames = (torch.arange(len(call.k))[:, None] - before).clamp(min=0).to(call.k.device)
        places = torch.arange(len(before), device=call.k.device)
        k, v = (torch.cat([each, each[frames, places]], dim=1) for each in (call.k, call.v))
        return attend(replace(call, k=k, v=v))


def frames_before(grid: tuple[int, int]) -> Int[Tensor, " places"]:
    """How many frames before each place of a shifted frame is: of every 4 x 4, four are of this frame, the rest 1 to 4.

    Row by row: 0000 1112 2233 3444.
    """
    rows, columns = (torch.arange(side) % 4 for side in grid)
    return ((4 * rows[:, None] + columns) * 5 // 16).flatten()
