"""Content accuracy of an edit by the judge, and overlap of the subject's outline with the source's mask."""

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from recast.evaluation.cases.worlds import Case
from recast.evaluation.judge.judge import Judge
from recast.networks.judge import Points
from recast.types import Frames

Masks = Bool[Tensor, "t h w"]


def accuracy(frames: Frames, case: Case, judge: Judge) -> dict[str, float]:
    """1 or 0 for each attribute that a perfect edit would show, and the overlap of outlines.

    The judge is pointed at the place deepest inside the source's subject. It looks at the edit alone: of the source it
    knows that place and nothing else.
    """
    true = torch.from_numpy(case.source.masks > 0)
    verdict = judge(frames, pointed(true))
    right = {
        name: float(getattr(verdict, name) == word) for name, word in case.target_attributes.items() if case.tells[name]
    }
    return right | {"outline": overlap(verdict.subject, true)}


def overlap(seen: Masks, true: Masks) -> float:
    """Intersection over union, the mean over frames; 1 where both are empty."""
    both = (seen & true).sum(dim=(1, 2))
    either = (seen | true).sum(dim=(1, 2))
    return float(torch.where(either == 0, 1.0, both / either.clamp(min=1)).mean())


def pointed(masks: Masks) -> Points:
    """The deepest place of each mask, row and column as 0..1 of the frame."""
    places = torch.tensor([deepest(mask.numpy()) for mask in masks])
    return places / torch.tensor(masks.shape[1:])


def deepest(mask: Bool[np.ndarray, "h w"]) -> tuple[float, float]:
    """Row and column, in pixels, of the middle of the pixel farthest from the mask's outline and the frame's edge."""
    framed = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(row) + 0.5, float(column) + 0.5
