"""From any frame of a clip to any other, by way of the canvases that both lie on."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import Flow
from recast.conditions.warping import Shares, warped
from recast.substrates.layers import Places, Substrate
from recast.substrates.moves import own_places

STEPS = 12
NEAR_PX = 0.7
"""A point is found in the other frame where its place on the canvas is met to so many pixels."""
LEAST_STRETCH = 0.1
"""Below it a canvas is taken to be folded, and the search for a point goes straight on."""


def flow_between_frames(substrate: Substrate, layer: int, start: int, end: int) -> tuple[Flow, Shares]:
    """Where a layer's points of frame `start` are in frame `end`, in pixels, and how far they are seen there, 0..1."""
    flow, met = met_between_frames(substrate, layer, start, end)
    return flow, met * warped(substrate.shares()[layer][[end]], flow)


def met_between_frames(substrate: Substrate, layer: int, start: int, end: int) -> tuple[Flow, Shares]:
    """The same, and 1 where the points lie within frame `end`, whether the layer is seen there or not.

    Newton's method on the places of `end`: where is the pixel whose place on the canvas is the point's?
    """
    places = substrate.layers[layer].places
    wanted, held = places[[start]], places[[end]]
    own = own_places(held.shape[-2:])[None]
    inverse = _inverse_slopes(held)
    flow = wanted - held
    for _ in range(STEPS):
        flow = _inside(flow + _applied(warped(inverse, flow), wanted - warped(held - own, flow) - own - flow), own)
    missed = wanted - warped(held - own, flow) - own - flow
    return flow, (missed.square().sum(dim=1, keepdim=True).sqrt() < NEAR_PX).to(flow)


def _inverse_slopes(places: Places) -> Float[Tensor, "1 4 h w"]:
    """The inverse of the 2x2 matrix of slopes at each pixel, row by row."""
    across, down = (_slope(places, axis) for axis in (-1, -2))
    (a, c), (b, d) = across.unbind(1), down.unbind(1)
    det = a * d - b * c
    good = det > LEAST_STRETCH
    safe = torch.where(good, det, torch.ones_like(det))
    a, b, c, d = (torch.where(good, each / safe, torch.zeros_like(each)) for each in (a, b, c, d))
    one = (~good).to(places)
    return torch.stack([d + one, -b, -c, a + one], dim=1)


def _slope(places: Places, axis: int) -> Places:
    """The central difference along an axis, one-sided at the edges."""
    return torch.gradient(places, dim=axis)[0] if places.shape[axis] > 1 else torch.zeros_like(places)


def _applied(matrix: Float[Tensor, "1 4 h w"], vector: Flow) -> Flow:
    a, b, c, d = matrix.unbind(1)
    x, y = vector.unbind(1)
    return torch.stack([a * x + b * y, c * x + d * y], dim=1)


def _inside(flow: Flow, own: Float[Tensor, "1 2 h w"]) -> Flow:
    """Flow that leads at most to the frame's edge: past it there is nothing to learn of a slope."""
    last = own.amax((-2, -1), keepdim=True)
    return (own + flow).clamp(min=0).minimum(last) - own


def at_size(maps: Float[Tensor, "t c h w"], size: Sequence[int]) -> Float[Tensor, "t c y x"]:
    """Maps at another size, bilinear."""
    same = tuple(maps.shape[-2:]) == tuple(size)
    return maps if same else F.interpolate(maps, list(size), mode="bilinear", align_corners=False)
