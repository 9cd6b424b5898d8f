"""Filters of clips: each computes a score and drops clips whose score is too low or too high."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from einops import rearrange
from jaxtyping import Float, UInt8

from recast.curation.settings import Settings
from recast.curation.text import text_share
from recast.types import Frames

LOOKED_PX, FLOW_PX = 360, 144
"""Short sides in pixels at which clips are measured, and at which optical flow is computed."""
DARKEST, PLAINEST = 24.0, 4.0
SAME_LEVELS, FROZEN_SHARE = 0.3, 0.5
LEAST_EXPLAINED = 0.35


@dataclass(frozen=True, eq=False)
class Look:
    """A clip as the filters get it: frames of at most 360 px on the short side."""

    frames: Frames

    @cached_property
    def grey(self) -> UInt8[np.ndarray, "t h w"]:
        """Luma, at most 144 px on the short side."""
        shown = rearrange(self.frames, "t c h w -> t h w c").numpy()
        rows, columns = shown.shape[1:3]
        shrunk = min(1.0, FLOW_PX / min(rows, columns))
        size = (max(8, round(columns * shrunk)), max(8, round(rows * shrunk)))
        greys = (cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in shown)
        return np.stack([cv2.resize(grey, size, interpolation=cv2.INTER_AREA) for grey in greys])

    @cached_property
    def flow(self) -> Float[np.ndarray, "s h w 2"]:
        """Optical flow to the next frame in pixels, by DIS (arXiv:1603.03590); s = t - 1."""
        seer: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        return np.stack([seer.calc(now, then, None) for now, then in zip(self.grey, self.grey[1:], strict=False)])

    @cached_property
    def speed(self) -> Float[np.ndarray, "s h w"]:
        """Magnitude of the flow, in percent of the short side per frame."""
        return 100 * np.linalg.norm(self.flow, axis=-1) / min(self.grey.shape[1:])


@dataclass(frozen=True)
class Filter:
    """One reason to drop a clip. about: description in the report. moving: needs at least two frames."""

    about: str
    measure: Callable[[Look], float]
    drops: Callable[[float, Settings], bool]
    moving: bool = False


def darkness(look: Look) -> float:
    """95th percentile of luma in the darkest frame, 0..255."""
    return float(np.percentile(look.grey, 95, axis=(1, 2)).min())


def plainness(look: Look) -> float:
    """Standard deviation of luma, 0..255, in the frame where it is smallest."""
    return float(look.grey.std(axis=(1, 2)).min())


def frozen_share(look: Look) -> float:
    """Share of neighbouring frames that are equal up to rounding."""
    levels = np.abs(np.diff(look.grey.astype(np.int16), axis=0)).mean(axis=(1, 2))
    return float((levels < SAME_LEVELS).mean())


def motion(look: Look) -> float:
    """95th percentile of speed in a frame, in percent of the short side per frame; mean over frames."""
    return float(np.percentile(look.speed, 95, axis=(1, 2)).mean())


def rush(look: Look) -> float:
    """Median speed in the fastest frame, in the same unit."""
    return float(np.median(look.speed, axis=(1, 2)).max())


def explained(look: Look) -> float:
    """Correlation of a frame with the next one warped back along the flow, -1..1; minimum over the clip."""
    return min(_correlation(now, _brought_back(then, flow)) for now, then, flow in _pairs(look))


def lettering(look: Look) -> float:
    """Share of the middle frame's area that text covers, 0..1."""
    return text_share(rearrange(look.frames[len(look.frames) // 2], "c h w -> h w c").numpy())


FILTERS: dict[str, Filter] = {
    "black": Filter("nearly black", darkness, lambda luma, _: luma < DARKEST),
    "plain": Filter("of one colour", plainness, lambda levels, _: levels < PLAINEST),
    "frozen": Filter("the same frame again", frozen_share, lambda share, _: share >= FROZEN_SHARE, moving=True),
    "static": Filter("nothing moves", motion, lambda percent, settings: percent < settings.min_motion, moving=True),
    "fast": Filter("too fast", rush, lambda percent, settings: percent > settings.max_motion, moving=True),
    "torn": Filter("frames that do not follow", explained, lambda share, _: share < LEAST_EXPLAINED, moving=True),
    "text": Filter("text in the picture", lettering, lambda share, settings: share > settings.max_text),
}
"""Filters in the order in which they run, cheap ones first; the first that drops a clip is the recorded reason."""


def judged(frames: Frames, settings: Settings) -> tuple[dict[str, float], str | None]:
    """Scores by filter, and the name of the filter that drops the clip, or None; later filters are not run."""
    look, scores = Look(frames), {}
    for name, each in FILTERS.items():
        if name in settings.skip or (each.moving and len(frames) < 2):
            continue
        scores[name] = round(each.measure(look), 5)
        if each.drops(scores[name], settings):
            return scores, name
    return scores, None


def _pairs(look: Look) -> Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return list(zip(look.grey, look.grey[1:], look.flow, strict=False))


def _brought_back(then: UInt8[np.ndarray, "h w"], flow: Float[np.ndarray, "h w 2"]) -> UInt8[np.ndarray, "h w"]:
    rows, columns = np.indices(then.shape, dtype=np.float32)
    return cv2.remap(then, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean()) / spread if spread else 1.0
