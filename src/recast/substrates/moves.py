"""How pixels of each frame moved since the reference frame: from flow, and corrected against a layer's picture."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import ClipFlow, Flow, flow_between
from recast.conditions.warping import Shares, composed, visible
from recast.substrates.layers import Canvas, Places, as_pixels, filled, sampled
from recast.types import Maps

CERTAIN = 0.5
"""A pixel's flow is a layer's where at least so much of the pixel is."""
EDGE_PX = 4
"""Flow bleeds over outlines by so many pixels."""
LEAST_INNER = 0.2
"""The least share of a layer that has to lie farther than that from its outline."""
AROUND = 7
"""Pixels of the window in which it is judged whether a correction helps."""


def own_places(size: Sequence[int]) -> Float[Tensor, "2 h w"]:
    """Each pixel's own column and row."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([columns, rows]).float()


def moves_from_flow(flow: ClipFlow, share: Shares, reference: int) -> Places:
    """From each frame into the reference frame: the flow of a layer's pixels, continued where it is hidden, in a chain.

    share: how much of each pixel is the layer's.
    """
    sight = visible(flow.backward, flow.forward), visible(flow.forward, flow.backward)
    backward = _continued(flow.backward, share[1:], sight[0])
    forward = _continued(flow.forward, share[:-1], sight[1])
    moves = [torch.zeros(1, 2, *share.shape[-2:])] * len(share)
    for before, frame in pairwise(range(reference, len(share))):
        moves[frame] = composed(backward[[before]], moves[before])
    for after, frame in pairwise(range(reference, -1, -1)):
        moves[frame] = composed(forward[[frame]], moves[after])
    return torch.cat(moves)


def corrected(moves: Places, shown: Maps, share: Shares, picture: Canvas, origin: Float[Tensor, "2"]) -> Places:
    """Moves after flow from each frame to what the picture shows of it, where that brings the two nearer.

    shown: the frames, 0..1. origin: where the reference frame's first pixel lies on the canvas.
    """
    own = own_places(shown.shape[-2:]) + origin.reshape(2, 1, 1)
    better = []
    for move, frame, part in zip(moves.split(1), shown.split(1), share.split(1), strict=True):
        seen = part * sampled(picture, own + move) + (1 - part) * frame
        step = _continued(flow_between(as_pixels(frame), as_pixels(seen)), part, torch.ones_like(part))
        tried = composed(step, move)
        errors = [_local_error(frame, sampled(picture, own + each), part) for each in (move, tried)]
        gain = F.avg_pool2d((errors[1] < errors[0]).float(), AROUND, 1, AROUND // 2)
        better.append(move + gain * (tried - move))
    return torch.cat(better)


def _continued(flow: Flow, share: Shares, sight: Shares) -> Flow:
    """A layer's flow, and what it is taken to be where the layer cannot be seen, or near its outline."""
    if not len(flow):
        return flow
    certain = (share >= CERTAIN).float()
    inner = -F.max_pool2d(-certain, 2 * EDGE_PX + 1, 1, EDGE_PX)
    # A layer too thin to have an inside is asked whole.
    thin = inner.flatten(1).mean(dim=1) < LEAST_INNER * certain.flatten(1).mean(dim=1)
    return filled(flow, torch.where(thin.reshape(-1, 1, 1, 1), certain, inner) * sight)


def _local_error(frame: Maps, seen: Maps, part: Shares) -> Shares:
    squared = part * (frame - seen).square().sum(dim=1, keepdim=True)
    return F.avg_pool2d(squared, AROUND, 1, AROUND // 2)
