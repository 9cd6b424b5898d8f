"""The picture of a layer from the frames that show it."""

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.warping import Shares
from recast.substrates.layers import Canvas, Places, filled, sampled
from recast.types import Maps

SEEN = 0.05
"""The least share of a pixel that says anything of a layer."""
MARGIN_PX = 1
LARGEST = 4
"""How many times a frame's sides a canvas may measure; what lies farther out is pressed to its edge."""


def canvas_of(places: Places, share: Shares) -> tuple[Float[Tensor, "2"], tuple[int, int]]:
    """Where the reference frame's first pixel lies on a canvas that holds all that is seen of a layer, and its size.

    places: of each pixel, counted from the reference frame's first one.
    """
    rows, columns = places.shape[-2:]
    seen = places.transpose(0, 1)[:, share[:, 0] > SEEN]
    if not seen.numel():
        return torch.zeros(2), (rows, columns)
    limit = torch.tensor([columns, rows]) * (LARGEST - 1) / 2
    last = torch.tensor([columns, rows]) - 1
    least = torch.maximum(seen.amin(dim=1).floor() - MARGIN_PX, -limit)
    most = torch.minimum(seen.amax(dim=1).ceil() + MARGIN_PX, last + limit)
    width, height = (most - least + 1).round().long().tolist()
    return -least.round(), (max(height, 2), max(width, 2))


def gathered(shown: Maps, places: Places, share: Shares, size: tuple[int, int], rounds: int) -> Canvas:
    """The picture that, seen at `places`, is nearest to the frames in squared error, in so many rounds.

    Each adds the mean of the error that its pixels have in the frames (simultaneous iterative reconstruction: SIRT).
    The first one gives the mean of the frames. Where no frame shows anything, the picture is continued smoothly.
    """
    weight = torch.zeros(1, *size)
    picture = torch.zeros(3, *size)
    for done in range(rounds):
        total = torch.zeros(3, *size)
        for frame, place, part in zip(shown.split(1), places.split(1), share.split(1), strict=True):
            if not done:
                weight += spread(part, place, size)[0]
            total += spread(part * (frame - sampled(picture, place)), place, size)[0]
        picture = picture + total / weight.clamp(min=1e-3)
    held = (weight > SEEN).float()
    return filled(picture[None], held[None])[0] if held.any() else picture


def spread(values: Maps, places: Places, size: tuple[int, int]) -> Float[Tensor, "t c y x"]:
    """Values of pixels laid down at their places on a canvas, each on the four pixels around it: bilinear, summed."""
    rows, columns = size
    count, channels = values.shape[:2]
    x, y = places[:, 0].clamp(0, columns - 1), places[:, 1].clamp(0, rows - 1)
    left, top = x.floor().clamp(max=max(columns - 2, 0)), y.floor().clamp(max=max(rows - 2, 0))
    canvas = values.new_zeros(count, channels, rows * columns)
    for right in (0, 1):
        for down in (0, 1):
            share = (1 - (x - left - right).abs()) * (1 - (y - top - down).abs())
            index = ((top + down) * columns + left + right).long().flatten(1)[:, None].expand(-1, channels, -1)
            canvas.scatter_add_(2, index, (values * share[:, None]).flatten(2))
    return canvas.reshape(count, channels, rows, columns)
