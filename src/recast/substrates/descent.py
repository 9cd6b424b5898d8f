"""Places and pictures of layers moved together toward the clip: grids of corrections, by Adam."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, cos, pi
from types import EllipsisType

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import Shares, visible, warped
from recast.substrates.layers import Places, sampled
from recast.types import Maps

STRIDES = (16, 8, 4, 2, 1)
"""Pixels between points of the grids of corrections, the coarsest first; what lies between two is linear."""
RUN = 4
"""Neighbouring frames of one step."""
RATE_PX, LONG_RATE_PX = 0.08, 0.2
LONG_PASSES = 40
"""A descent of so many passes has time to settle from longer steps; a short one has not."""
RATE_COLOUR = 0.01
COLOUR_SCALE = 0.05
"""An error of colour, of 0..1, above which it counts by its size and no longer by its square."""
FLOW = 0.004
"""What one pixel of difference from the flow counts beside an error of colour of 1."""
SMOOTH = 0.04
HELD = 1.0
"""What an error of the reference frame counts beside those of a run's."""
STEADY = 0.002
"""What the square of a pixel's change of correction counts: per pixel of the frame, and per frame."""

State = dict[str, Tensor]
Box = tuple[EllipsisType, slice, slice]


@dataclass(frozen=True, eq=False)
class Descent:
    """What a clip's layers are fitted to. shown: the frames, 0..1. moves, shares, origins: of each layer.

    moves: into the reference frame, before correction. origins: the reference frame's first pixel on each canvas.
    passes: over the clip, in all.
    """

    shown: Maps
    flow: ClipFlow
    moves: list[Places]
    shares: list[Shares]
    origins: list[Float[Tensor, "2"]]
    own: Float[Tensor, "2 h w"]
    reference: int
    passes: int
    sight: Shares = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sight", visible(self.flow.forward, self.flow.backward))

    @property
    def rate_px(self) -> float:
        """Pixels of the first steps."""
        return max(RATE_PX, LONG_RATE_PX * min(1.0, self.passes / LONG_PASSES))

    def start(self, pictures: list[Tensor]) -> State:
        """No correction yet of these pictures [3 y x] and their places, and Adam at rest."""
        rows, columns = self.shown.shape[-2:]
        state: State = {}
        for number, picture in enumerate(pictures):
            state[f"picture.{number}"] = picture.clone()
            for stride in STRIDES:
                size = (ceil(rows / stride), ceil(columns / stride))
                state[f"grid.{number}.{stride}"] = torch.zeros(len(self.shown), 2, *size)
        for name in list(state):
            state |= {f"mean.{name}": torch.zeros_like(state[name]), f"square.{name}": torch.zeros_like(state[name])}
        return state | {"steps": torch.zeros(1)}

    def correction(self, state: State, layer: int, picks: slice = slice(None)) -> Places:
        """Pixels by which places of these frames, whose grids `state` has, are moved. The reference frame's stay."""
        whole = state[f"grid.{layer}.{STRIDES[0]}"]
        for stride in STRIDES[1:]:
            finer = state[f"grid.{layer}.{stride}"]
            whole = finer + F.interpolate(whole, finer.shape[-2:], mode="bilinear", align_corners=True)
        free = torch.arange(len(self.shown))[picks] != self.reference
        return whole * free.reshape(-1, 1, 1, 1)

    def passed(self, state: State, share_done: float, seed: int) -> State:
        """The state after one pass over the clip, in runs in an order drawn by the seed. share_done: of all passes."""
        state = dict(state)
        generator = torch.Generator().manual_seed(seed)
        offset = int(torch.randint(RUN, (1,), generator=generator))
        starts = sorted({max(0, first) for first in range(-offset, len(self.shown), RUN)})
        slow = 0.02 + 0.98 * (1 + cos(pi * share_done)) / 2
        for place in torch.randperm(len(starts), generator=generator).tolist():
            first = starts[place]
            last = starts[place + 1] if place + 1 < len(starts) else len(self.shown)
            self._step(state, slice(first, min(len(self.shown), last + 1)), slow)
        return state

    def _step(self, state: State, picks: slice, slow: float) -> None:
        names = [name for name in state if name.startswith(("picture", "grid"))]
        parts = {name: slice(None) if name.startswith("picture") else picks for name in names}
        held = {name: state[name][part].detach().requires_grad_() for name, part in parts.items()}
        with torch.enable_grad():
            loss = self.loss(held, picks) + HELD * self.off_reference(held)
            gradients = torch.autograd.grad(loss, [held[name] for name in names])
        state["steps"] = state["steps"] + 1
        count = int(state["steps"])
        for name, gradient in zip(names, gradients, strict=True):
            part = parts[name]
            mean, square = state[f"mean.{name}"][part], state[f"square.{name}"][part]
            mean.mul_(0.9).add_(gradient, alpha=0.1)
            square.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
            rate = slow * (RATE_COLOUR if name.startswith("picture") else self.rate_px)
            upward = (mean / (1 - 0.9**count)) / ((square / (1 - 0.99**count)).sqrt() + 1e-9)
            state[name][part] -= rate * upward

    def loss(self, state: State, picks: slice) -> Float[Tensor, ""]:
        """The error of colour, the distance from the flow, and how uneven corrections are; means over pixels.

        state: pictures, and grids of these frames.
        """
        total, seen = torch.zeros(()), torch.zeros_like(self.shown[picks])
        for number, share in enumerate(self.shares):
            change = self.correction(state, number, picks)
            moves = self.moves[number][picks] + change
            box = _box(share[picks])
            places = (self.own + self.origins[number].reshape(2, 1, 1) + moves)[box]
            part = share[picks][box] * sampled(state[f"picture.{number}"], places)
            seen = seen + F.pad(part, _around(box, seen.shape[-2:]))
            total = total + SMOOTH * _uneven(change) + FLOW * self._beside_flow(moves, share[picks], picks)
            if len(change) > 1:
                total = total + STEADY * (change[1:] - change[:-1]).square().mean()
        return total + _rounded(seen - self.shown[picks], COLOUR_SCALE).mean()

    def off_reference(self, state: State) -> Float[Tensor, ""]:
        """The error of the reference frame, to which pictures are held: bent ones would do for the other frames."""
        chosen = [self.reference]
        places = [(self.own + origin.reshape(2, 1, 1))[None] for origin in self.origins]
        seen = [share[chosen] * sampled(state[f"picture.{n}"], places[n]) for n, share in enumerate(self.shares)]
        return _rounded(sum(seen) - self.shown[chosen], COLOUR_SCALE).mean()

    def _beside_flow(self, moves: Places, share: Shares, picks: slice) -> Float[Tensor, ""]:
        """How far a point's place differs from that of the point in the next frame to which flow leads."""
        steps = slice(picks.start, picks.stop - 1)
        forward = self.flow.forward[steps]
        if not len(forward):
            return torch.zeros(())
        weight = self.sight[steps] * share[:-1]
        away = forward + warped(moves[1:], forward) - moves[:-1]
        return (weight * _rounded(away, 0.5)).mean()


def _box(share: Shares) -> Box:
    """The rows and columns that hold all that frames show of a layer."""
    held = share.amax((0, 1)) > 0
    rows, columns = (each.nonzero().flatten() for each in (held.any(dim=1), held.any(dim=0)))
    if not len(rows):
        return (..., slice(0, 1), slice(0, 1))
    return (..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))


def _around(box: Box, size: Sequence[int]) -> list[int]:
    """Columns and rows beside a box: left, right, above, below."""
    _, rows, columns = box
    return [columns.start, size[1] - columns.stop, rows.start, size[0] - rows.stop]


def _uneven(change: Places) -> Float[Tensor, ""]:
    across, down = change[..., 1:] - change[..., :-1], change[..., 1:, :] - change[..., :-1, :]
    return across.square().mean() + down.square().mean()


def _rounded(error: Tensor, scale: float) -> Tensor:
    """Near 0 half a square over the scale, far from it the size of the error."""
    return (error.square() + scale**2).sqrt() - scale
