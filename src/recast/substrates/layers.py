"""A clip as few pictures: layers, each a picture on a canvas and the place of every pixel of every frame on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.conditions.warping import Shares
from recast.types import Maps

Canvas = Float[Tensor, "c y x"]
"""A picture as large as all that a layer ever shows; its rows and columns are not those of a frame."""
Places = Float[Tensor, "t 2 h w"]
"""Where on the canvas each pixel of each frame lies: pixels from the left (first channel) and from the top (second)."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a clip. picture: colours, 0..1. alpha: how far it is there in each pixel of each frame, 0..1."""

    picture: Float[Tensor, "3 y x"]
    places: Places
    alpha: Shares

    def rendered(self, picture: Canvas | None = None) -> Maps:
        """What each frame shows of the layer, or of another picture on its canvas, whether it is hidden there or not.

        A picture of another size lies on the whole canvas.
        """
        picture = self.picture if picture is None else picture
        return torch.cat([sampled(picture, each[None], self.picture.shape[-2:]) for each in self.places])


@dataclass(frozen=True, eq=False)
class Substrate:
    """A clip as layers, the lowest first, whose alpha is 1 everywhere: one, or background and foreground.

    reference: the frame whose pixels lie on each canvas as they are, moved by whole pixels.
    """

    layers: tuple[Layer, ...]
    reference: int

    def __len__(self) -> int:
        return len(self.layers[0].places)

    def shares(self) -> list[Shares]:
        """How much of each pixel is each layer's, past what lies over it; they add up to 1."""
        return layer_shares([layer.alpha for layer in self.layers])

    def rendered(self, pictures: Sequence[Canvas | None] = ()) -> Maps:
        """All frames, 0..1, from the layers' pictures or from others in their place (None keeps a layer's own)."""
        given = [*pictures, *[None] * (len(self.layers) - len(pictures))]
        parts = zip(self.layers, given, self.shares(), strict=True)
        return torch.stack([share * layer.rendered(picture) for layer, picture, share in parts]).sum(dim=0)

    def error_db(self, shown: Maps) -> list[float]:
        """Peak signal to noise of the rendered frames against `shown`, 0..1: over all pixels, then of each layer's.

        A pixel is a layer's where more than half of it is; a layer that is nowhere has NaN.
        """
        squared = (self.rendered() - shown).square().mean(dim=1, keepdim=True)
        parts = [torch.ones_like(squared) > 0, *(share > 0.5 for share in self.shares())]
        return [float(-10 * squared[part].mean().clamp(min=1e-10).log10()) for part in parts]


def as_pixels(pictures: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """Colours of 0..1 as 8-bit numbers; what lies beyond becomes the nearest."""
    return (255 * pictures).round().clamp(0, 255).to(torch.uint8)


def layer_shares(alphas: Sequence[Shares]) -> list[Shares]:
    """How much of each pixel is each layer's, the lowest first, past what lies over it."""
    shares, free = [], torch.ones_like(alphas[0])
    for alpha in reversed(alphas):
        shares.append(free * alpha)
        free = free * (1 - alpha)
    return shares[::-1]


def sampled(picture: Canvas, places: Places, size: Sequence[int] | None = None) -> Maps:
    """A canvas at places, bilinear; outside of it its nearest edge. size: rows and columns that places count in."""
    rows, columns = picture.shape[-2:] if size is None else size
    scale = places.new_tensor([columns, rows])
    grid = (2 * rearrange(places, "t xy h w -> t h w xy") + 1) / scale - 1
    spread = picture[None].expand(len(places), *picture.shape)
    return F.grid_sample(spread, grid, "bilinear", "border", align_corners=False)


def filled(values: Maps, weights: Shares) -> Maps:
    """Values where their weight is 1; where it is 0, a smooth continuation of what lies around (a pyramid of means)."""
    rows, columns = values.shape[-2:]
    if min(rows, columns) < 2 or float(weights.min()) >= 1:
        mean = (values * weights).sum((-2, -1), keepdim=True) / weights.sum((-2, -1), keepdim=True).clamp(min=1e-6)
        return weights * values + (1 - weights) * mean
    held = F.avg_pool2d(weights, 2, ceil_mode=True)
    coarse = F.avg_pool2d(values * weights, 2, ceil_mode=True) / held.clamp(min=1e-6)
    below = filled(coarse, (4 * held).clamp(max=1))
    around = F.interpolate(below, (rows, columns), mode="bilinear", align_corners=False)
    return weights * values + (1 - weights) * around
