"""A clip's first picture, as Stable Video Diffusion's CLIP encoder and its network see it."""

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.autoencoder import as_pixels
from recast.conditions.image import ImageEncoder
from recast.types import Frames

Pixels = Float[Tensor, "t 3 h w"]
LEAST_BLUR = 1e-3
"""Of a picture that does not shrink."""


@torch.no_grad()
def embeddings(encoder: ImageEncoder, frames: Frames) -> Float[Tensor, "t d"]:
    """CLIP embeddings of whole pictures, squeezed to a square, on the CPU; not normalised."""
    side = int(encoder.network.config.image_size)  # pyrefly: ignore[bad-argument-type, missing-attribute]
    shown = (squeezed(as_pixels(frames.to(encoder.device)), side) + 1) / 2
    colours = encoder.processor.image_mean, encoder.processor.image_std
    mean, deviation = (shown.new_tensor(each).reshape(1, 3, 1, 1) for each in colours)
    return encoder.network((shown - mean) / deviation).image_embeds.float().cpu()


def squeezed(pictures: Pixels, side: int) -> Float[Tensor, "t 3 side side"]:
    """Pictures at another size and aspect: blurred by as much as they shrink, then bicubic between corner pixels.

    As in training. It is a resize of kornia's with antialias; its window is two deviations to each side.
    """
    for axis in (-1, -2):
        pictures = _blurred(pictures, pictures.shape[axis] / side, axis)
    return F.interpolate(pictures, (side, side), mode="bicubic", align_corners=True)


def _blurred(pictures: Pixels, shrunk: float, axis: int) -> Pixels:
    """By a Gaussian along one axis. shrunk: how many times."""
    deviation = max((shrunk - 1) / 2, LEAST_BLUR)
    radius = int(max(4 * deviation, 3)) // 2
    places = torch.arange(-radius, radius + 1, dtype=pictures.dtype, device=pictures.device)
    weights = (-(places**2) / (2 * deviation**2)).exp()
    weights = weights / weights.sum()
    along, around = ("n -> c 1 1 n", (radius, radius, 0, 0)) if axis == -1 else ("n -> c 1 n 1", (0, 0, radius, radius))
    padded = F.pad(pictures, around, mode="reflect")
    return F.conv2d(padded, repeat(weights, along, c=pictures.shape[1]), groups=pictures.shape[1])
