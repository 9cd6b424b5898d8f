"""Layers fitted to a clip: places from flow, corrected against the layers' pictures, then both by descent."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import Shares
from recast.errors import Cancelled
from recast.progress import Report, unreported
from recast.substrates.descent import Descent, State
from recast.substrates.gather import canvas_of, gathered
from recast.substrates.layers import Canvas, Layer, Places, Substrate, layer_shares
from recast.substrates.matte import matted
from recast.substrates.moves import corrected, moves_from_flow, own_places
from recast.types import Frames, Maps

CORRECTIONS = 3
"""Rounds of correction against the pictures, before the descent."""
ROUNDS, LAST_ROUNDS = 2, 12
"""Of gathering a layer's picture between corrections, and at the end."""


REFERENCE_COUNTS = 8.0
"""As so many frames, at the end: it is the one that a picture is to look like."""


@runtime_checkable
class Keep(Protocol):
    """Is given what a fit has come to after each round, and once more where it is stopped."""

    def __call__(self, state: State, *, ending: bool = False) -> None:
        """The state. ending: whether the fit stops here."""
        ...


def unkept(state: State, *, ending: bool = False) -> None:
    """What a fit has come to is lost when it is stopped."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit of layers to frames. alphas: of each layer, the lowest first, whose alpha is 1 everywhere.

    passes: over the clip, of the descent.
    """

    frames: Frames
    flow: ClipFlow
    alphas: tuple[Shares, ...]
    reference: int
    passes: int = 40
    shown: Maps = field(init=False)
    shares: list[Shares] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", self.frames.float() / 255)
        object.__setattr__(self, "shares", layer_shares(self.alphas))

    @torch.no_grad()
    def run(self, report: Report = unreported, keep: Keep = unkept, state: State | None = None) -> Substrate:
        """The fitted layers. state: what an earlier run of the same fit kept; the result is the same."""
        total = CORRECTIONS + self.passes + 1
        state = self._start() if state is None else state
        try:
            while (done := int(state["done"])) < total - 1:
                report(done, total)
                state = self._corrected(state) if done < CORRECTIONS else self._descended(state)
                state["done"] = torch.tensor([done + 1])
                keep(state)
            report(total - 1, total)
        except Cancelled:
            keep(state, ending=True)
            raise
        made = self._finished(state)
        report(total, total)
        return made

    def _start(self) -> State:
        moves = {f"moves.{i}": moves_from_flow(self.flow, each, self.reference) for i, each in enumerate(self.shares)}
        return moves | {"done": torch.tensor([0])}

    def _corrected(self, state: State) -> State:
        changed = dict(state)
        for number, share in enumerate(self.shares):
            moves = state[f"moves.{number}"]
            origin, places, size = self._canvas(moves, share)
            picture = gathered(self.shown, places, share, size, ROUNDS)
            found = corrected(moves, self.shown, share, picture, origin)
            found[self.reference] = 0
            changed[f"moves.{number}"] = found
        return changed

    def _descended(self, state: State) -> State:
        descent = self._descent(state)
        done = int(state["done"]) - CORRECTIONS
        if not done:
            canvases = [self._canvas(moves, share) for moves, share in zip(descent.moves, self.shares, strict=True)]
            pictures = [
                gathered(self.shown, places, share, size, ROUNDS)
                for (_, places, size), share in zip(canvases, self.shares, strict=True)
            ]
            state = state | descent.start(pictures)
        return descent.passed(state, done / self.passes, seed=done)

    def _finished(self, state: State) -> Substrate:
        descent, layers = self._descent(state), []
        for number, (share, alpha) in enumerate(zip(self.shares, self.alphas, strict=True)):
            moves = descent.moves[number]
            moves = moves + descent.correction(state, number) if self.passes else moves
            _, places, size = self._canvas(moves, share)
            layers.append(Layer(self._picture(places, share, size), places, alpha))
        return matted(Substrate(tuple(layers), self.reference), self.shown)

    def _picture(self, places: Places, share: Shares, size: tuple[int, int]) -> Canvas:
        """The picture of a layer whose places are found; the reference frame counts as several."""
        counted = share.clone()
        counted[self.reference] *= REFERENCE_COUNTS
        return gathered(self.shown, places, counted, size, LAST_ROUNDS).clamp(0, 1)

    def _descent(self, state: State) -> Descent:
        moves = [state[f"moves.{number}"] for number in range(len(self.alphas))]
        origins = [self._canvas(each, share)[0] for each, share in zip(moves, self.shares, strict=True)]
        own = own_places(self.shown.shape[-2:])
        return Descent(self.shown, self.flow, moves, self.shares, origins, own, self.reference, self.passes)

    def _canvas(self, moves: Places, share: Shares) -> tuple[Float[Tensor, "2"], Places, tuple[int, int]]:
        counted = own_places(self.shown.shape[-2:]) + moves
        origin, size = canvas_of(counted, share)
        return origin, counted + origin.reshape(2, 1, 1), size
