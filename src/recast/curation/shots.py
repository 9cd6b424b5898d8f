"""Shot detection by PySceneDetect, and the spans of frames that become clips."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from einops import rearrange

from recast.errors import extra
from recast.video.read import Frame, Source, Window, frames
from recast.video.resize import resized

SEEN_PX, BLUR_PX, CUT, GREAT_CUT, STANDS_OUT = 128, 2.0, 27.0, 33.0, 3.0
"""Short side in pixels at which cuts are detected, sigma of the blur in pixels, and PySceneDetect's thresholds.

Noise and snow change hues from frame to frame, which the detectors take for cuts; the blur suppresses that. Measured
so: of 70 cuts between worlds all but one score at least 35, frames of one shot at most 31 where much moves; a real
cut between two grey landscapes scores 24, but is the largest local outlier in eight real clips.
"""


def _content(threshold: float = CUT) -> list[Any]:
    with extra("curate"):
        from scenedetect.detectors import ContentDetector
    # No minimum length of a shot: PySceneDetect would drop a cut that follows another too soon, and a clip would span
    # it. A false cut costs one clip, a missed cut spoils one.
    return [ContentDetector(threshold=threshold, min_scene_len=0)]


def _adaptive() -> list[Any]:
    with extra("curate"):
        from scenedetect.detectors import AdaptiveDetector
    return [AdaptiveDetector(adaptive_threshold=STANDS_OUT, min_scene_len=0)]


DETECTORS: dict[str, Callable[[], list[Any]]] = {
    "either": lambda: [*_content(GREAT_CUT), *_adaptive()],
    "content": _content,
    "adaptive": _adaptive,
}
"""PySceneDetect's detectors of cuts. content: the change of colour between frames exceeds a threshold; adaptive: it
exceeds that of its neighbours, two frames on either side."""


@dataclass(frozen=True)
class Span:
    """Frames of a clip in its source: `frames` of them from index `start`, `stride` apart."""

    start: int
    stride: int
    frames: int

    @property
    def stop(self) -> int:
        """Index after its last frame."""
        return self.start + (self.frames - 1) * self.stride + 1

    @property
    def picks(self) -> range:
        """The frames' indices."""
        return range(self.start, self.stop, self.stride)


def shots(source: Source, detector: str) -> list[range]:
    """The source's frames between its cuts, in order. Raises MediaError where it cannot be read to its end."""
    with extra("curate"):
        from scenedetect.common import FrameTimecode
    detectors, cuts, count = DETECTORS[detector](), {0}, 0
    for frame in frames(source, Window()):
        time, seen = FrameTimecode(count, Fraction(source.fps)), _small(frame)
        cuts |= {cut.frame_num for each in detectors for cut in each.process_frame(time, seen)}
        count += 1
    return [range(start, stop) for start, stop in pairwise([*sorted(cuts - {count}), count])]


def spans(shot: range, frames: int, stride: int) -> Iterator[Span]:
    """As many clips as fit into a shot, back to back."""
    length = (frames - 1) * stride + 1
    for start in range(shot.start, shot.stop - length + 1, frames * stride):
        yield Span(start, stride, frames)


def clips(source: Source, wanted: Iterable[Span], start: float = 0.0) -> Iterator[tuple[Span, list[Frame]]]:
    """Each span with its frames, in one pass through the source from `start` seconds on.

    wanted: in order, without overlap. A span that reaches past the source's end is left out.
    """
    todo = iter(wanted)
    span, held = next(todo, None), []
    if span is None:
        return
    for frame in frames(source, Window(start=start)):
        if frame.index in span.picks:
            held.append(frame)
        if frame.index == span.stop - 1:
            yield span, held
            span, held = next(todo, None), []
            if span is None:
                return


def _small(frame: Frame) -> np.ndarray:
    rows, columns = frame.pixels.shape[-2:]
    shrunk = min(1.0, SEEN_PX / min(rows, columns))
    size = (max(1, round(rows * shrunk)), max(1, round(columns * shrunk)))
    image = rearrange(resized(frame.pixels[None], size)[0], "c h w -> h w c").numpy()
    # Blue, green, red: what OpenCV's conversion to hue expects.
    return cv2.GaussianBlur(np.ascontiguousarray(image[..., ::-1]), (0, 0), BLUR_PX)
