"""People as coloured sticks, as OpenPose draws them (arXiv:1812.08008) and ControlNets of poses were trained on."""

import colorsys
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Points = Float[np.ndarray, "17 3"]
"""COCO's keypoints of a person: column, row, and how sure."""
LEAST_SURE = 0.3
"""A point that is less so is not drawn, nor what hangs on it."""
REACH = 4 / 512
"""Half of a stick's width, and a joint's radius, as a share of the frame's short side."""
FAINT = 0.6
"""Of a stick's colour, so that joints stand out."""

_BODY = ("nose", "neck", *(f"{side}_{part}" for side in "rl" for part in ("shoulder", "elbow", "wrist")))
JOINTS = (
    *_BODY,
    *(f"{side}_{part}" for side in "rl" for part in ("hip", "knee", "ankle")),
    *("r_eye", "l_eye", "r_ear", "l_ear"),
)
"""OpenPose's 18 joints in its order."""
_PAIRS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
COCO = ("nose", *(f"{side}_{part}" for part in _PAIRS for side in "lr"))
"""COCO's 17 points in their order; the neck is between the shoulders."""
_CHAINS = (
    *(("neck", f"{side}_shoulder") for side in "rl"),
    *((f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist") for side in "rl"),
    *(("neck", f"{side}_hip", f"{side}_knee", f"{side}_ankle") for side in "rl"),
    ("neck", "nose"),
    *(("nose", f"{side}_eye", f"{side}_ear") for side in "rl"),
)
STICKS = tuple(pair for chain in _CHAINS for pair in pairwise(chain))
"""The joints at both ends of each stick, in OpenPose's order, which is that of their colours."""


def colour(number: int) -> tuple[int, int, int]:
    """Of the stick or joint of this number: hues in 18 steps, from red on."""
    return tuple(round(255 * each) for each in colorsys.hsv_to_rgb(number / len(JOINTS), 1, 1))  # pyrefly: ignore


def drawn(people: Sequence[Points], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """Sticks, and joints on top of them, on black. size: rows and columns."""
    picture, reach = np.zeros((*size, 3), np.uint8), max(1, round(REACH * min(size)))
    found = [_joints(points) for points in people]
    for number, (one, other) in enumerate(STICKS):
        faint = tuple(int(FAINT * each) for each in colour(number))
        for joints in found:
            if one in joints and other in joints:
                cv2.fillConvexPoly(picture, _stick(joints[one], joints[other], reach), faint)
    for number, name in enumerate(JOINTS):
        for joints in found:
            if name in joints:
                cv2.circle(picture, tuple(np.rint(joints[name]).astype(int).tolist()), reach, colour(number), -1)
    return picture


def _joints(points: Points) -> dict[str, Float[np.ndarray, "2"]]:
    """Where the joints of a person are that are sure enough."""
    joints = {name: point[:2] for name, point in zip(COCO, points, strict=True) if point[2] > LEAST_SURE}
    if "r_shoulder" in joints and "l_shoulder" in joints:
        joints["neck"] = (joints["r_shoulder"] + joints["l_shoulder"]) / 2
    return joints


def _stick(one: Float[np.ndarray, "2"], other: Float[np.ndarray, "2"], reach: int) -> np.ndarray:
    """The outline of an ellipse from joint to joint."""
    middle, (across, down) = (one + other) / 2, other - one
    axes = int(np.hypot(across, down) / 2), reach
    centre = tuple(np.rint(middle).astype(int).tolist())
    return np.array(cv2.ellipse2Poly(centre, axes, int(np.degrees(np.arctan2(down, across))), 0, 360, 1))
