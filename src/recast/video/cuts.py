"""Cuts between shots, by PySceneDetect, found from pictures that come one after the other."""

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from recast.video.resize import resized

SEEN_PX, BLUR_PX, CUT, GREAT_CUT, STANDS_OUT = 128, 2.0, 27.0, 33.0, 3.0
"""Short side in pixels at which cuts are detected, sigma of the blur in pixels, and PySceneDetect's thresholds.

Noise and snow change hues from frame to frame, which the detectors take for cuts; the blur suppresses that. Measured
so: of 70 cuts between worlds all but one score at least 35, frames of one shot at most 31 where much moves; a real
cut between two grey landscapes scores 24, but is the largest local outlier in eight real clips.
"""
SEEN_BEFORE, SEEN_AFTER = 3, 2
"""Pictures before and after a place that tell whether there is a cut: the adaptive detector's two changes each way."""


def _content(threshold: float = CUT) -> list[Any]:
    from scenedetect.detectors import ContentDetector

    # No minimum length of a shot: PySceneDetect would drop a cut that follows another too soon, and a clip would span
    # it. A false cut costs one clip, a missed cut spoils one.
    return [ContentDetector(threshold=threshold, min_scene_len=0)]


def _adaptive() -> list[Any]:
    from scenedetect.detectors import AdaptiveDetector

    return [AdaptiveDetector(adaptive_threshold=STANDS_OUT, min_scene_len=0)]


DETECTORS: dict[str, Callable[[], list[Any]]] = {
    "either": lambda: [*_content(GREAT_CUT), *_adaptive()],
    "content": _content,
    "adaptive": _adaptive,
    "none": list,
}
"""PySceneDetect's detectors of cuts. content: the change of colour between frames exceeds a threshold; adaptive: it
exceeds that of its neighbours, two frames on either side; none: all is one shot."""


def cuts(pictures: Iterable[UInt8[Tensor, "3 h w"]], detector: str, first: int = 0) -> list[int]:
    """Numbers of the pictures that begin another shot than the one before, in order. first: that of the first one.

    A part of a clip has the cuts of the whole at places with SEEN_BEFORE pictures before them and SEEN_AFTER after.
    """
    from scenedetect.common import FrameTimecode

    detectors = DETECTORS[detector]()
    if not detectors:
        return []
    found = set[int]()
    for number, picture in enumerate(pictures, first):
        time, seen = FrameTimecode(number, 25.0), _small(picture)  # the detectors ask for the number alone
        found |= {cut.frame_num for each in detectors for cut in each.process_frame(time, seen)}
    return sorted(found - {first})


def _small(picture: UInt8[Tensor, "3 h w"]) -> np.ndarray:
    rows, columns = picture.shape[-2:]
    shrunk = min(1.0, SEEN_PX / min(rows, columns))
    size = (max(1, round(rows * shrunk)), max(1, round(columns * shrunk)))
    image = rearrange(resized(picture[None], size)[0], "c h w -> h w c").numpy()
    # Blue, green, red: what OpenCV's conversion to hue expects.
    return cv2.GaussianBlur(np.ascontiguousarray(image[..., ::-1]), (0, 0), BLUR_PX)
