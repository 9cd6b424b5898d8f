"""What tests of attention share: calls with random projections, and plain attention to answer them."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange

from recast.networks.hooks import AttentionCall, SiteKind, heads_split

GRID, HEADS, WIDTH = (2, 3), 2, 8


def call_of(frames, *, kind=SiteKind.SELF, keys=None, seed=0, still=False, **settings):
    """Self- or cross-attention of these frames. still: every frame has the same tokens."""
    rng = torch.Generator().manual_seed(seed)
    count, places = (1 if still else len(frames)), GRID[0] * GRID[1]
    hidden, q = (torch.randn(count, places, WIDTH, generator=rng) for _ in range(2))
    k, v = (torch.randn(count, keys or places, WIDTH, generator=rng) for _ in range(2))
    if still:
        hidden, q, k, v = (each.expand(len(frames), -1, -1) for each in (hidden, q, k, v))
    usual = {"sigma": 2.0, "branch": 0, "frames": tuple(frames)}
    scale = (WIDTH // HEADS) ** -0.5
    return AttentionCall("site", kind, GRID, HEADS, hidden, q, k, v, scale, **usual | settings)


def attended(call):
    """The answer of the fused kernel."""
    q, k, v = (heads_split(each, call.heads) for each in (call.q, call.k, call.v))
    return rearrange(F.scaled_dot_product_attention(q, k, v), "b h n d -> b n (h d)")


def part_of(call, rows, **settings):
    """Some frames of a call, as a window has them."""
    parts = {name: getattr(call, name)[rows] for name in ("hidden", "q", "k", "v")}
    return replace(call, **parts, frames=call.frames[rows], **settings)
