"""Pictures between two frames, by optical flow both ways, with what only one of the two shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from recast.conditions.flow import Flow, flow_between
from recast.conditions.propagation import HIDDEN
from recast.conditions.warping import Shares, inside, visible, warped
from recast.denoising import FlowEstimator
from recast.types import Frames

AROUND_PX = 7
"""The side of the square over which pictures are compared."""
ALIKE = 15.0
"""Of 255: points that differ less are taken to be seen in both frames, whatever flow there and back says."""


@dataclass(frozen=True, eq=False)
class FrameGap:
    """Two frames of one shot, and what is between them. arXiv:1712.00080 blends so, by flow that is carried there.

    The flow at a moment between is that of the points that have come to each place by then, from either frame: of
    several, that whose two pictures differ least, as in Baker et al. 2011 (IJCV 92), section 3.3.2. A place is the mean
    of both frames by nearness, and of one alone where its point is hidden in the other.
    before, after: one frame each. onward: flow from `before` into `after`; back: the other way.
    """

    before: Frames
    after: Frames
    onward: Flow
    back: Flow

    @classmethod
    def of(cls, before: Frames, after: Frames, estimate: FlowEstimator | None = None) -> "FrameGap":
        """Of two frames. estimate: of their flow, DIS if not said."""
        estimate = estimate or flow_between
        return cls(before, after, estimate(before, after), estimate(after, before))

    def at(self, share: float | Fraction) -> Frames:
        """The picture at a share of the way, 0 the first frame and 1 the second, as they are."""
        if share in (0, 1):
            return self.after if share else self.before
        share = float(share)
        flow, in_before, in_after = self._arrived(share)
        ways = -share * flow, (1 - share) * flow
        one, other = (warped(each.float(), way) for each, way in zip((self.before, self.after), ways, strict=True))
        shown = in_before * inside(ways[0]), in_after * inside(ways[1])
        weights = (1 - share) * (shown[0] + HIDDEN), share * (shown[1] + HIDDEN)
        return ((weights[0] * one + weights[1] * other) / (weights[0] + weights[1])).round().clamp(0, 255).byte()

    def _arrived(self, share: float) -> tuple[Flow, Shares, Shares]:
        """At a moment: the flow from `before` to `after` at each place, and whether each of them shows its point."""
        costs, seen = self._costs, self._seen
        ones = torch.ones_like(seen[0])
        # From `before` a point is seen there, and from `after` there; whether in the other one too is what was checked.
        parts = [
            _Points(self.onward, share * self.onward, costs[0], ones, seen[0]),
            _Points(-self.back, (1 - share) * self.back, costs[1], seen[1], ones),
        ]
        return _nearest_filled(*_splatted(parts))

    @cached_property
    def _seen(self) -> list[Shares]:
        """Whether each frame's points are seen in the other one."""
        trips = visible(self.onward, self.back), visible(self.back, self.onward)
        # What looks the same in both frames is taken from both: flow errs, and the mean of two errors is the smaller.
        return [torch.maximum(trip, (cost < ALIKE).to(trip)) for trip, cost in zip(trips, self._costs, strict=True)]

    @cached_property
    def _costs(self) -> tuple[Shares, Shares]:
        """How much each frame's points differ in the other one, over what is around them."""
        one = (warped(self.after.float(), self.onward) - self.before.float()).abs().mean(dim=1, keepdim=True)
        other = (warped(self.before.float(), self.back) - self.after.float()).abs().mean(dim=1, keepdim=True)
        return _around(one), _around(other)


def _around(maps: Shares) -> Shares:
    return F.avg_pool2d(maps, AROUND_PX, 1, AROUND_PX // 2, count_include_pad=False)


def in_between(
    keys: Frames, picks: Sequence[tuple[int, Fraction]], estimate: FlowEstimator | None = None
) -> Iterator[Frames]:
    """One picture after the other, by key and share of the way to the next one; keys as they are."""
    number, gap = -1, None
    for key, share in picks:
        if share and key != number:
            number, gap = key, FrameGap.of(keys[key : key + 1], keys[key + 1 : key + 2], estimate)
        yield gap.at(share) if share and gap is not None else keys[key : key + 1]


@dataclass(frozen=True, eq=False)
class _Points:
    """Points of one frame. flow: theirs from the first frame to the second. moved: by how far they are gone by then.

    cost: how much they differ in the two frames. in_before, in_after: whether each frame shows them.
    """

    flow: Flow
    moved: Flow
    cost: Shares
    in_before: Shares
    in_after: Shares

    def corners(self) -> Iterator[tuple[Int[Tensor, " p"], Float[Tensor, "5 p"]]]:
        """For each of the four pixels around a point's place: which one, and cost, flow and visibilities."""
        rows, columns = self.flow.shape[-2:]
        down, right = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        place = torch.stack([right, down]) + self.moved[0]
        held = torch.cat([self.cost, self.flow, self.in_before, self.in_after], dim=1)[0]
        for corner in range(4):
            x, y = place[0].floor() + corner % 2, place[1].floor() + corner // 2
            within = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
            # What is a whole pixel away covers nothing of the place.
            within &= ((x - place[0]).abs() < 1) & ((y - place[1]).abs() < 1)
            yield (y * columns + x)[within].long(), held[:, within]


def _splatted(parts: Sequence[_Points]) -> tuple[Float[Tensor, "4 h w"], Float[Tensor, "1 h w"]]:
    """At each place flow and visibilities of the point of least cost that has come there, and whether any has."""
    rows, columns = parts[0].flow.shape[-2:]
    least = torch.full((rows * columns,), torch.inf)
    corners = [corner for part in parts for corner in part.corners()]
    for where, held in corners:
        least.scatter_reduce_(0, where, held[0], "amin")
    found = torch.zeros(4, rows * columns)
    for where, held in corners:
        best = held[0] == least[where]
        found[:, where[best]] = held[1:, best]
    return rearrange(found, "n (h w) -> n h w", h=rows), rearrange(least.isfinite().float(), "(h w) -> 1 h w", h=rows)


def _nearest_filled(found: Float[Tensor, "4 h w"], known: Float[Tensor, "1 h w"]) -> tuple[Flow, Shares, Shares]:
    """Where no point has come, the mean of those around, from outside in; both frames count there."""
    held = torch.where(known > 0, found, torch.tensor([0.0, 0.0, 1.0, 1.0])[:, None, None])
    flow, filled = held[None, :2] * known, known[None]
    while not filled.all():
        near, count = (F.avg_pool2d(each, 3, 1, 1, count_include_pad=True) for each in (flow, filled))
        grown = (filled == 0) & (count > 0)
        if not grown.any():
            break
        flow = torch.where(grown, near / count.clamp(min=1e-6), flow)
        filled = torch.where(grown, torch.ones_like(filled), filled)
    return flow, held[None, 2:3], held[None, 3:]
