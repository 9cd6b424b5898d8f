"""Frames of a clip whose layers were painted on: the paint where there is some, the clip's own pixels elsewhere."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.substrates.between import at_size
from recast.substrates.keys import EditedKey
from recast.substrates.layers import Substrate, as_pixels, sampled
from recast.video.resize import resized

Image = UInt8[Tensor, "3 h w"]


def repainted(
    frame: Image, number: int, substrate: Substrate, pictures: Sequence[UInt8[Tensor, "3 _ _"] | None]
) -> Image:
    """A frame, of any size, with what pictures change of the substrate's layers; None leaves a layer as it is.

    Pictures lie on whole canvases and may be larger than these. What they leave as it was stays the frame's own pixels.
    """
    size, base = frame.shape[-2:], frame[None].float()
    shown = base
    for layer, share, picture in zip(substrate.layers, substrate.shares(), pictures, strict=True):
        if picture is None:
            continue
        layered = _painted_over(layer.picture, picture)
        places = at_size(layer.places[[number]], size)
        seen = sampled(layered, places, layer.picture.shape[-2:])
        shown = shown + at_size(share[[number]], size) * seen[:, 3:] * (seen[:, :3] - base)
    return shown.round().clamp(0, 255).to(torch.uint8)[0]


def _painted_over(own: Float[Tensor, "3 y x"], picture: UInt8[Tensor, "3 _ _"]) -> Float[Tensor, "4 _ _"]:
    """The picture's colours, 0..255, and how far it differs from the layer's own one, 0..1."""
    before = resized(as_pixels(own)[None], (picture.shape[-2], picture.shape[-1]))[0]
    return EditedKey(before, picture).layered[0]
