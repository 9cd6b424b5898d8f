"""What moves otherwise than the rest of a clip: the foreground of an atlas where no mask says it."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from recast.conditions.flow import ClipFlow, Flow
from recast.conditions.warping import Shares, visible, warped
from recast.errors import RequestError
from recast.substrates.moves import own_places
from recast.types import Frames, Maps

LEAST_PX = 0.4
"""Pixels a frame by which a point has to move otherwise than the rest."""
TIMES_USUAL = 5.0
"""How many times as far as half of all points it has to be from the common motion."""
MEMORY = 0.7
"""What the frames before count, and those after, when a point is judged."""
LEAST_SHARE, MOST_SHARE = 0.004, 0.7
"""Of a frame: a smaller region is dropped; a larger foreground is not believed."""
CLEARLY = 0.7
"""The share of the error by a point's own flow below which the error by the common motion is clearly less."""
GRID_PX = 4
"""Every so many pixels a point is asked what the common motion is."""


def moving_masks(frames: Frames, flow: ClipFlow) -> Shares:
    """1 where points keep moving otherwise than most of the frame, whose motion is a homography from frame to frame.

    Flow bleeds over outlines; a point that the common motion explains clearly better is left to it.
    Raises RequestError where nothing does, or nearly everything: then a mask has to say what the foreground is.
    """
    shown = frames.float() / 255
    ahead = _beside_the_rest(shown, flow.forward, flow.backward)
    # The last frame has no next one and is judged by the one before.
    last = _beside_the_rest(shown[-2:].flip(0), flow.backward[-1:], flow.forward[-1:])
    ahead = torch.cat([ahead, last])
    onward, back = _remembered(ahead, flow.backward), _remembered(ahead.flip(0), flow.forward.flip(0)).flip(0)
    far = (onward + back) / 2
    least = (TIMES_USUAL * far.flatten(1).median(dim=1).values).clamp(min=LEAST_PX)
    masks = torch.stack([_cleaned(_standing_out(*each)) for each in zip(far[:, 0], least, strict=True)])[:, None]
    share = float(masks.mean())
    if not LEAST_SHARE <= share <= MOST_SHARE:
        raise RequestError(
            f"{100 * share:.0f} % of the clip moves otherwise than the rest, so no foreground can be told by motion; "
            "give a mask (--mask, made by recast mask), or take one canonical image (--by canonical)"
        )
    return masks


def _standing_out(far: Float[Tensor, "h w"], least: Float[Tensor, ""]) -> Bool[Tensor, "h w"]:
    """What is farther than `least`, and at least half as far as the middle one of these: blurred edges are not."""
    over = far[far > least]
    return far > torch.maximum(least, over.median() / 2) if len(over) else far > least


def _beside_the_rest(shown: Maps, flow: Flow, back: Flow) -> Shares:
    """How far each point's flow is from the homography that fits most of its frame, in pixels.

    shown: the frames that flow lies on, and the one that the last flow leads into.
    """
    seen = visible(flow, back)
    common = torch.stack([_common_motion(step, sight) for step, sight in zip(flow, seen, strict=True)])
    away = (flow - common).square().sum(dim=1, keepdim=True).sqrt()
    by_common, by_own = (_unlike(shown, each) for each in (common, flow))
    return away * (by_common >= CLEARLY * by_own)


def _common_motion(step: Float[Tensor, "2 h w"], sight: Float[Tensor, "1 h w"]) -> Float[Tensor, "2 h w"]:
    """The flow of the homography that fits most of a frame."""
    own = own_places(step.shape[-2:])
    chosen = (..., slice(GRID_PX // 2, None, GRID_PX), slice(GRID_PX // 2, None, GRID_PX))
    held = sight[chosen].flatten() > 0
    start, end = (rearrange(each[chosen], "xy h w -> (h w) xy")[held].numpy() for each in (own, own + step))
    cv2.setRNGSeed(0)  # OpenCV draws its samples from one generator of the process
    common = cv2.findHomography(start, end, cv2.RANSAC, 1.0)[0] if len(start) >= 8 else None
    if common is None:
        return torch.zeros_like(own)
    led = cv2.perspectiveTransform(rearrange(own, "xy h w -> 1 (h w) xy").numpy(), common)
    return rearrange(torch.from_numpy(led), "1 (h w) xy -> xy h w", h=own.shape[1]) - own


def _unlike(shown: Maps, flow: Flow) -> Shares:
    """The squared error of the next frame, brought back along flow, around each point."""
    squared = (warped(shown[1:], flow) - shown[:-1]).square().sum(dim=1, keepdim=True)
    return F.avg_pool2d(F.pad(squared, (2,) * 4, mode="replicate"), 5, 1)


def _remembered(values: Float[Tensor, "t 1 h w"], steps: Flow) -> Float[Tensor, "t 1 h w"]:
    """Each frame's values blended with those that its points had before. steps: to the frame before."""
    held = [values[:1]]
    for value, step in zip(values[1:].split(1), steps.split(1), strict=True):
        held.append(MEMORY * warped(held[-1], step) + (1 - MEMORY) * value)
    return torch.cat(held)


def _cleaned(mask: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Without specks and pinholes."""
    plane = mask.numpy().astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    plane = cv2.morphologyEx(cv2.morphologyEx(plane, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), cv2.MORPH_CLOSE, disc)
    count, numbers, about, _ = cv2.connectedComponentsWithStats(plane)
    large = [i for i in range(1, count) if about[i, cv2.CC_STAT_AREA] >= LEAST_SHARE * plane.size]
    kept = np.isin(numbers, large).astype(np.uint8)
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(kept, outlines, -1, 1, thickness=cv2.FILLED)
    return torch.from_numpy(kept).float()


def softened(masks: Shares) -> Shares:
    """Masks whose edges fall off over a pixel, as pixels on an outline show both sides."""
    return F.avg_pool2d(F.pad(masks, (1,) * 4, mode="replicate"), 3, 1)
