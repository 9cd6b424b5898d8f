"""A region that is marked in one frame, followed through a clip both ways: a box, or a painted still."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.conditions.flow import flow_between
from recast.conditions.warping import visible, warped
from recast.errors import RequestError
from recast.types import Frames, Maps

Box = tuple[int, int, int, int]
"""Left, top, width and height, in pixels."""
Image = UInt8[np.ndarray, "h w 3"]
MaskMap = Float[Tensor, "1 1 h w"]
LEAST_REACH = 16
"""Pixels that even a small box may move from frame to frame."""
NEARER_BY = 0.0375
"""How much less alike, of 1, a place at the farthest reach is held to be: of two alike, the nearer one is it."""
PATCH = (32, 32)
"""Size in pixels at which what a box shows is compared."""


@dataclass(frozen=True, eq=False)
class Followed:
    """Masks of a clip's frames, 0..1, and how far each can be relied on, 0..1."""

    masks: Maps
    confidence: tuple[float, ...]


def followed_box(frames: Frames, box: Box, at: int) -> Followed:
    """A box that is `box` in frame `at`, followed by what it shows (normalized cross-correlation, frame to frame).

    Its size stays. Confidence is the correlation of what the box shows with what it showed in frame `at`.
    Raises RequestError for a box that is not in the frame.
    """
    _check_box(box, frames.shape[-2:])
    images = [_image(frame) for frame in frames]
    boxes = _tracked(images[: at + 1][::-1], box)[::-1][:-1] + _tracked(images[at:], box)
    shown = _patch(images[at], box)
    confidence = tuple(_correlation(_patch(image, each), shown) for image, each in zip(images, boxes, strict=True))
    masks = torch.zeros(len(frames), 1, *frames.shape[-2:])
    for mask, (left, top, width, height) in zip(masks, boxes, strict=True):
        mask[:, max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = 1
    return Followed(masks, confidence)


def followed_still(frames: Frames, still: Float[Tensor, "h w"], at: int) -> Followed:
    """A mask that was painted on frame `at`, carried along optical flow from frame to frame (DIS).

    Confidence is the share of what is marked that was seen all the way from frame `at`. Raises RequestError for a still
    that marks nothing.
    """
    if not still.any():
        raise RequestError("the painted frame marks nothing; paint white where the edit is to be")
    onward = _carried(frames[at:], still[None, None])
    back = _carried(frames[: at + 1].flip(0), still[None, None])[::-1][:-1]
    whole = back + onward
    return Followed(torch.cat([mask for mask, _ in whole]), tuple(share for _, share in whole))


def _tracked(images: Sequence[Image], box: Box) -> list[Box]:
    boxes = [box]
    for before, after in pairwise(images):
        boxes.append(_next_box(before, after, boxes[-1]))
    return boxes


def _next_box(before: Image, after: Image, box: Box) -> Box:
    """Where `after` shows most likely what the box shows in `before`, at most half a box away."""
    left, top, width, height = box
    across, down = (max(LEAST_REACH, side // 2) for side in (width, height))
    shown = _window(before, box)
    reached = _window(after, (left - across, top - down, width + 2 * across, height + 2 * down))
    likeness = cv2.matchTemplate(reached, shown, cv2.TM_CCOEFF_NORMED)
    rows, columns = np.mgrid[-1 : 1 : (2 * down + 1) * 1j, -1 : 1 : (2 * across + 1) * 1j]
    row, column = np.unravel_index(np.argmax(likeness - NEARER_BY * (rows**2 + columns**2)), likeness.shape)
    # Half of the box stays in the picture, so that there is something to compare.
    left = int(np.clip(left + column - across, -(width // 2), after.shape[1] - width // 2 - 1))
    top = int(np.clip(top + row - down, -(height // 2), after.shape[0] - height // 2 - 1))
    return left, top, width, height


def _window(image: Image, box: Box) -> UInt8[np.ndarray, "y x 3"]:
    """What a box shows, with the picture's edge repeated where it reaches beyond."""
    left, top, width, height = box
    rows = np.clip(np.arange(top, top + height), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + width), 0, image.shape[1] - 1)
    return np.ascontiguousarray(image[rows[:, None], columns])


def _carried(frames: Frames, mask: MaskMap) -> list[tuple[MaskMap, float]]:
    """The mask in each frame, from the first on, and the share of it that was seen all the way."""
    carried, seen = [(mask, 1.0)], torch.ones_like(mask)
    for before, after in pairwise(frames.split(1)):
        backward, forward = flow_between(after, before), flow_between(before, after)
        seen = warped(seen, backward) * visible(backward, forward)
        mask = warped(mask, backward)
        carried.append((mask, float((seen * mask).sum() / mask.sum().clamp(min=1e-6))))
    return carried


def _check_box(box: Box, size: Sequence[int]) -> None:
    left, top, width, height = box
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
        raise RequestError(f"the box {width}x{height} at {left},{top} is not in frames of {size[1]}x{size[0]}")


def _image(frame: UInt8[Tensor, "3 h w"]) -> Image:
    return np.ascontiguousarray(rearrange(frame, "c h w -> h w c").numpy()[..., ::-1])


def _patch(image: Image, box: Box) -> Float[np.ndarray, "p"]:
    left, top, width, height = box
    part = image[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    if not part.size:
        return np.zeros(PATCH[0] * PATCH[1] * 3)
    patch = cv2.resize(part, PATCH, interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    return patch - patch.mean()


def _correlation(one: Float[np.ndarray, "p"], other: Float[np.ndarray, "p"]) -> float:
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return max(0.0, float(one @ other) / length) if length else float(np.array_equal(one, other))
