"""Noise that moves where points are dragged, for walks whose clips are to move so, without training.

DragNUWA (arXiv:2308.08089) and MCDiff (arXiv:2304.14404) train networks that read a flow made of strokes; here the
strokes' flow carries the noise that frames share, as optical flow carries it in warped noise (arXiv:2501.08331).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recast.diffusion.noise import SHARED, NoiseDraw, share_of
from recast.layout import Stroke
from recast.types import Latents

ENTERING = -2
"""The number of the noise of places that nothing has moved to."""
Points = Float[Tensor, "n 2"]
"""From the left and from the top, in latents of the grid."""


def dragged(points: Points, strokes: Sequence[Stroke], now: int, then: int, size: tuple[int, int]) -> Points:
    """How far strokes drag points from a frame to another: the dense flow of sparse strokes.

    What is within a stroke's radius moves as its point does; from there to twice the radius less and less (by
    s^2 (3 - 2 s)), and beyond not at all. Where strokes reach the same place, their mean by these weights. DragNUWA
    smooths points by a Gaussian instead, which nothing follows in full.
    """
    rows, columns = size
    extent = torch.tensor([columns, rows]).float()
    stays, total, moved = torch.ones(len(points), 1), torch.zeros(len(points), 1), torch.zeros(len(points), 2)
    for stroke in strokes:
        start, end = (stroke.at([now, then]) * extent).unbind()
        far = (points - start).norm(dim=1, keepdim=True) / (stroke.radius * min(size))
        near = (2 - far).clamp(0, 1)
        weight = near.square() * (3 - 2 * near)
        stays, total, moved = stays * (1 - weight), total + weight, moved + weight * (end - start)
    return (1 - stays) * moved / total.clamp(min=torch.finfo(torch.float32).tiny)


@dataclass(frozen=True, eq=False)
class _Grains:
    """Values of noise, each at a place of its own between the grid's points."""

    places: Points
    values: Float[Tensor, "n c"]

    @classmethod
    def of(cls, noise: Float[Tensor, "c y x"]) -> "_Grains":
        """One in the middle of each element."""
        rows, columns = torch.meshgrid(*(torch.arange(count) + 0.5 for count in noise.shape[-2:]), indexing="ij")
        return cls(torch.stack([columns.flatten(), rows.flatten()], dim=1), noise.flatten(1).T)

    def settled(self, entering: Float[Tensor, "c y x"]) -> "_Grains":
        """At most one in each element, the one nearest to its middle, and entering noise where there is none."""
        rows, columns = entering.shape[-2:]
        cells = self.places.floor().long()
        inside = ((cells >= 0) & (cells < torch.tensor([columns, rows]))).all(dim=1)
        kept = _Grains(self.places[inside], self.values[inside])
        owners = _nearest(kept.places, cells[inside], columns)
        free = torch.ones(rows * columns, dtype=torch.bool)
        free[owners[1]] = False
        fresh = _Grains.of(entering)
        return _Grains(
            torch.cat([kept.places[owners[0]], fresh.places[free]]),
            torch.cat([kept.values[owners[0]], fresh.values[free]]),
        )

    def noise(self, size: tuple[int, int]) -> Float[Tensor, "c y x"]:
        """On the grid, once settled."""
        rows, columns = size
        cells = self.places.floor().long()
        grid = torch.empty(rows * columns, self.values.shape[1])
        grid[cells[:, 1] * columns + cells[:, 0]] = self.values
        return grid.T.unflatten(1, (rows, columns))


def dragged_noise(
    draw: NoiseDraw, frames: Sequence[int], strokes: Sequence[Stroke], alpha: float | None, stride: int = 1
) -> Latents:
    """A part that frames share, carried along strokes, and a part of each frame's own; without strokes mixed noise.

    alpha: as of `mixed_noise`; None shares all. stride: of the strokes' frames for each of `frames`, which may be
    latents. Each value of the shared part moves by itself, to fractions of a latent,
    and each element of a frame takes one of them or fresh noise; no value is taken twice or averaged, and which is
    taken depends on places alone, so each frame's noise is white and of unit variance. It begins at frame 0 of the
    clip, so that any stretch agrees with the whole.
    """
    first = draw([0], SHARED)[0]
    size, grains, shared = (first.shape[-2], first.shape[-1]), _Grains.of(first.cpu().float()), [first]
    for frame in range(1, max(frames) + 1):
        moved = dragged(grains.places, strokes, stride * (frame - 1), stride * frame, size)
        entering = draw([frame], ENTERING)[0].cpu().float()
        grains = replace(grains, places=grains.places + moved).settled(entering)
        shared.append(grains.noise(size).to(first))
    carried = torch.stack([shared[frame] for frame in frames])
    if alpha is None:
        return carried
    share = share_of(alpha)
    return share * carried + (1 - share**2) ** 0.5 * draw(frames, 0)


def _nearest(
    places: Points, cells: Int[Tensor, "n 2"], columns: int
) -> tuple[Int[Tensor, " owners"], Int[Tensor, " owners"]]:
    """Of each element that has any: the index of the nearest one to its middle, and the element's own."""
    elements = cells[:, 1] * columns + cells[:, 0]
    far = (places - cells - 0.5).square().sum(dim=1)
    order = far.argsort(stable=True)
    order = order[elements[order].argsort(stable=True)]
    sorted_elements = elements[order]
    first = torch.ones(len(order), dtype=torch.bool)
    first[1:] = sorted_elements[1:] != sorted_elements[:-1]
    return order[first], sorted_elements[first]
