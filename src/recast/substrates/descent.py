"""Places and pictures of layers moved together toward the clip: grids of corrections, by Adam."""

from dataclasses import dataclass
from math import cos, pi

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import Shares, visible, warped
from recast.substrates.layers import Places, sampled
from recast.types import Maps

STRIDES = (16, 4)
"""Pixels between points of the grids of corrections; what lies between two is linear."""
RUN = 4
"""Neighbouring frames of one step."""
RATE_PX = 0.08
RATE_COLOUR = 0.01
COLOUR_SCALE = 0.05
"""An error of colour, of 0..1, above which it counts by its size and no longer by its square."""
FLOW = 0.004
"""What one pixel of difference from the flow counts beside an error of colour of 1."""
SMOOTH = 0.02
STEADY = 0.002
"""What the square of a pixel's change of correction counts: per pixel of the frame, and per frame."""

State = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Descent:
    """What a clip's layers are fitted to. shown: the frames, 0..1. moves, shares, origins: of each layer.

    moves: into the reference frame, before correction. origins: the reference frame's first pixel on each canvas.
    """

    shown: Maps
    flow: ClipFlow
    moves: list[Places]
    shares: list[Shares]
    origins: list[Float[Tensor, "2"]]
    own: Float[Tensor, "2 h w"]
    reference: int

    def start(self, pictures: list[Tensor]) -> State:
        """No correction yet of these pictures [3 y x] and their places, and Adam at rest."""
        rows, columns = self.shown.shape[-2:]
        state: State = {}
        for number, picture in enumerate(pictures):
            state[f"picture.{number}"] = picture.clone()
            for stride in STRIDES:
                size = (max(2, rows // stride + 1), max(2, columns // stride + 1))
                state[f"grid.{number}.{stride}"] = torch.zeros(len(self.shown), 2, *size)
        for name in list(state):
            state |= {f"mean.{name}": torch.zeros_like(state[name]), f"square.{name}": torch.zeros_like(state[name])}
        return state | {"steps": torch.zeros(1)}

    def correction(self, state: State, layer: int, picks: slice = slice(None)) -> Places:
        """Pixels by which places of these frames are moved. The reference frame's stay."""
        size = self.shown.shape[-2:]
        grids = [state[f"grid.{layer}.{stride}"][picks] for stride in STRIDES]
        whole = sum(F.interpolate(grid, size, mode="bilinear", align_corners=True) for grid in grids)
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
        held = state | {name: state[name].detach().requires_grad_() for name in names}
        with torch.enable_grad():
            gradients = torch.autograd.grad(self.loss(held, picks), [held[name] for name in names])
        state["steps"] = state["steps"] + 1
        count = int(state["steps"])
        for name, gradient in zip(names, gradients, strict=True):
            part = slice(None) if name.startswith("picture") else picks
            mean, square = state[f"mean.{name}"][part], state[f"square.{name}"][part]
            mean.mul_(0.9).add_(gradient[part], alpha=0.1)
            square.mul_(0.99).addcmul_(gradient[part], gradient[part], value=0.01)
            rate = slow * (RATE_COLOUR if name.startswith("picture") else RATE_PX)
            upward = (mean / (1 - 0.9**count)) / ((square / (1 - 0.99**count)).sqrt() + 1e-9)
            state[name][part] -= rate * upward

    def loss(self, state: State, picks: slice) -> Float[Tensor, ""]:
        """The error of colour, the distance from the flow, and how uneven corrections are; means over pixels."""
        total, seen = torch.zeros(()), torch.zeros_like(self.shown[picks])
        for number, share in enumerate(self.shares):
            change = self.correction(state, number, picks)
            moves = self.moves[number][picks] + change
            places = self.own + self.origins[number].reshape(2, 1, 1) + moves
            seen = seen + share[picks] * sampled(state[f"picture.{number}"], places)
            total = total + SMOOTH * _uneven(change) + FLOW * self._beside_flow(moves, share[picks], picks)
            if len(change) > 1:
                total = total + STEADY * (change[1:] - change[:-1]).square().mean()
        return total + _rounded(seen - self.shown[picks], COLOUR_SCALE).mean()

    def _beside_flow(self, moves: Places, share: Shares, picks: slice) -> Float[Tensor, ""]:
        """How far a point's place differs from that of the point in the next frame to which flow leads."""
        steps = slice(picks.start, picks.stop - 1)
        forward, backward = self.flow.forward[steps], self.flow.backward[steps]
        if not len(forward):
            return torch.zeros(())
        weight = visible(forward, backward) * share[:-1]
        away = forward + warped(moves[1:], forward) - moves[:-1]
        return (weight * _rounded(away, 0.5)).mean()


def _uneven(change: Places) -> Float[Tensor, ""]:
    across, down = change[..., 1:] - change[..., :-1], change[..., 1:, :] - change[..., :-1, :]
    return across.square().mean() + down.square().mean()


def _rounded(error: Tensor, scale: float) -> Tensor:
    """Near 0 half a square over the scale, far from it the size of the error."""
    return (error.square() + scale**2).sqrt() - scale
