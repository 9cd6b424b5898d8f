"""Edge agreement: whether an edit has its edges where its source has them."""

import math

import cv2
import numpy as np
from jaxtyping import Bool

from recast.types import Maps

TOLERANCE = 0.008
"""How far an edge may lie from the other clip's, as a share of the frame's diagonal. DAVIS (CVPR 2016), section 5.1."""
Lines = Bool[np.ndarray, "t h w"]


def edge_agreement(maps: Maps, others: Maps) -> float:
    """The F measure of two clips' edges, over all frames: 1 where both have the same, 0 where none meet.

    maps, others: 0..1, 1 on an edge. An edge is met where the other clip has one within TOLERANCE; the measure is the
    harmonic mean of the shares of edges that are met, of either clip. Two clips without edges agree.
    """
    lines, other_lines = (each[:, 0].numpy() > 0.5 for each in (maps, others))
    if not lines.any() and not other_lines.any():
        return 1.0
    met = [_met(lines, other_lines), _met(other_lines, lines)]
    return 2 * met[0] * met[1] / sum(met) if all(met) else 0.0


def _met(lines: Lines, others: Lines) -> float:
    """The share of edges that have one of the others near."""
    reach = math.ceil(TOLERANCE * math.hypot(*lines.shape[1:]))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = np.stack([cv2.dilate(frame.astype(np.uint8), around) > 0 for frame in others])
    return float((lines & near).sum() / max(1, lines.sum()))
