"""Boxes of the first frame that go along with a clip's motion, for methods that are told where something is."""

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import warped
from recast.errors import RequestError

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of a frame's width and height."""


def box_of(text: str, what: str) -> Box:
    """The box that "LEFT,TOP,RIGHT,BOTTOM" says. what: it is, for the message. Raises RequestError for what is none."""
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError:
        raise RequestError(f"{what} is {text.strip()!r}, which is no box; say LEFT,TOP,RIGHT,BOTTOM") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise RequestError(f"{what} is {text}; it must lie in 0..1, left of right and top above bottom")
    return left, top, right, bottom


def carried(mask: Float[Tensor, "1 1 h w"], flow: ClipFlow) -> Float[Tensor, "t 1 h w"]:
    """A mask of the first frame in all frames, along optical flow."""
    masks = [mask]
    for step in flow.backward.split(1):
        masks.append(warped(masks[-1], step))
    return (torch.cat(masks) > 0.5).float()


def box_mask(box: Box, size: tuple[int, int]) -> Float[Tensor, "1 1 h w"]:
    """1 inside of a box, in a frame of `size` rows and columns."""
    rows, columns = size
    left, top, right, bottom = box
    mask = torch.zeros(1, 1, rows, columns)
    mask[..., round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)] = 1
    return mask
