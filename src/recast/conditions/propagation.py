"""Edited keyframes carried to the frames between them, along optical flow."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import ClipFlow, Flow, flow_between
from recast.conditions.warping import Shares, composed, visible, warped
from recast.errors import RequestError
from recast.types import Frames, Maps

HIDDEN = 1e-3
"""What a hidden pixel still counts, so that one that is hidden in both keyframes is mixed by distance."""


def keyframes(count: int, interval: int) -> list[int]:
    """Every `interval`-th of `count` frames, and the last one, so that every other frame is between two.

    Raises RequestError for an interval below 1.
    """
    if interval < 1:
        raise RequestError(f"keyframes every {interval} frames; it must be 1 or more")
    return sorted({*range(0, count, interval), count - 1})


def propagated(edited: Float[Tensor, "k c h w"], keys: Sequence[int], flow: ClipFlow) -> Maps:
    """All frames of a clip from its edited keyframes; a keyframe is given as it is.

    edited: one for each of `keys`, which begin with the first frame and end with the last. flow: of the source.
    Flow is chained from frame to frame up to the keyframe before and the one after. Of the two pictures that it brings
    each counts by its keyframe's nearness, and hardly where the point is hidden on the way.
    """
    sights = visible(flow.backward, flow.forward), visible(flow.forward, flow.backward)
    frames: list[Maps] = []
    for (first, last), before, after in zip(pairwise(keys), edited[:-1], edited[1:], strict=True):
        span = slice(first, last)
        backward, forward = flow.backward[span], flow.forward[span].flip(0)
        onward = list(_carried(before[None], backward, sights[0][span]))[:-1]
        back = list(_carried(after[None], forward, sights[1][span].flip(0)))[:-1]
        frames.append(before[None])
        for step, ((one, one_seen), (other, other_seen)) in enumerate(zip(onward, reversed(back), strict=True), 1):
            near = step / (last - first)
            weights = [(1 - near) * (one_seen + HIDDEN), near * (other_seen + HIDDEN)]
            frames.append((weights[0] * one + weights[1] * other) / (weights[0] + weights[1]))
    return torch.cat([*frames, edited[-1:]])


def midpoint(before: Frames, after: Frames) -> Maps:
    """The picture halfway between each two frames, 0..255: both go half of their flow, and are averaged."""
    halves = ((before, after), (after, before))
    # The flow at the midpoint is taken to be half of the one at the same place of the frame itself.
    brought = [warped(one.float(), -0.5 * flow_between(one, other)) for one, other in halves]
    return (brought[0] + brought[1]) / 2


def carried_onward(picture: Float[Tensor, "1 c h w"], flow: ClipFlow) -> tuple[Maps, Shares]:
    """The first frame's picture in every frame of a clip, and where its points can be seen there.

    Flow is chained from frame to frame; a point that was hidden once on the way counts as hidden from there on.
    """
    onward = list(_carried(picture, flow.backward, visible(flow.backward, flow.forward))) if len(flow.backward) else []
    pictures, seen = [picture], [torch.ones_like(picture[:, :1])]
    for brought, sight in onward:
        pictures.append(brought)
        seen.append(sight)
    return torch.cat(pictures), torch.cat(seen)


def colour_mapped(
    frames: Float[Tensor, "t 3 y x"], before: Float[Tensor, "n 3 h w"], after: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "t 3 y x"]:
    """The frames' colours by the affine map that takes `before` to `after` with the least squared error."""
    flat = rearrange(before, "n c h w -> (n h w) c").double()
    ones = torch.ones(len(flat), 1, dtype=flat.dtype, device=flat.device)
    target = rearrange(after, "n c h w -> (n h w) c").double()
    # By normal equations with a trace of damping, so that a picture of few colours has a map too.
    design = torch.cat([flat, ones], dim=1)
    square = design.T @ design + 1e-6 * len(flat) * torch.eye(4, dtype=flat.dtype, device=flat.device)
    change = torch.linalg.solve(square, design.T @ (target - flat)).to(frames)
    return frames + torch.einsum("tchw,cd->tdhw", frames, change[:3]) + rearrange(change[3], "d -> d 1 1")


def _carried(picture: Maps, steps: Flow, sights: Shares) -> Iterator[tuple[Maps, Shares]]:
    """A keyframe in the frames that follow it in the order of `steps`, each of which points to the one before it."""
    total, seen = torch.zeros_like(steps[:1]), torch.ones_like(sights[:1])
    for step, sight in zip(steps.split(1), sights.split(1), strict=True):
        total, seen = composed(step, total), sight * warped(seen, step)
        yield warped(picture, total), seen.to(picture)
