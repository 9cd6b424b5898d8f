"""Edges as a drawn line map, with thresholds that hold for the whole clip."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.types import Clip, Kind, Structure

REACH = 6
"""How many deviations from a line its fall is drawn; there it is 1.5e-8."""
FAINTEST = 24.0
"""No slope below this is an edge, in Sobel units (8 times grey levels a pixel): noise in a plain picture stays out."""

Grey = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class EdgeExtractor:
    """Canny's lines (Canny 1986), drawn soft: 1 on the line, falling off like a Gaussian beside it.

    Differs: the thresholds come from the slopes of the whole clip, so that a line doesn't blink as others come and go.
    """

    busy: float = 0.88
    """The share of all pixels whose slope is too small to start a line, 0..1."""
    follow: float = 0.4
    """How far a line is followed: to slopes of this share of those that start one, 0..1."""
    smooth_px: float = 1.0
    """Deviation of the blur before slopes are taken: finer detail is left out."""
    soft_px: float = 0.7
    """Deviation of the fall beside a line."""

    def __post_init__(self) -> None:
        if not (0 <= self.busy <= 1 and 0 <= self.follow <= 1):
            raise RequestError(f"edge shares busy {self.busy:g} and follow {self.follow:g} go from 0 to 1")
        if min(self.smooth_px, self.soft_px) <= 0:
            raise RequestError(f"edge blurs {self.smooth_px:g} and {self.soft_px:g} pixels must be above 0")

    @classmethod
    def opened(cls, _folder: ModelFolder, _device: torch.device) -> "EdgeExtractor":
        """The extractor; it needs no network."""
        return cls()

    def __call__(self, clip: Clip) -> Structure:
        """One line map a frame, 0..1, 1 on an edge."""
        slopes = [self._slopes(frame) for frame in rearrange(clip.frames.cpu(), "t c h w -> t h w c").numpy()]
        sizes = np.stack([np.hypot(right.astype(np.float32), down.astype(np.float32)) for right, down in slopes])
        start = max(float(np.quantile(sizes, self.busy)), FAINTEST)
        lines = [cv2.Canny(right, down, self.follow * start, start, L2gradient=True) for right, down in slopes]
        return Structure(Kind.EDGES, rearrange([self._soft(line) for line in lines], "t h w -> t 1 h w"))

    def _slopes(self, frame: UInt8[np.ndarray, "h w 3"]) -> tuple[np.ndarray, np.ndarray]:
        grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), self.smooth_px)
        return cv2.Sobel(grey, cv2.CV_16S, 1, 0), cv2.Sobel(grey, cv2.CV_16S, 0, 1)

    def _soft(self, line: Grey) -> Float[Tensor, "h w"]:
        if not line.any():
            return torch.zeros(line.shape)
        off_px = torch.from_numpy(cv2.distanceTransform(255 - line, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
        # OpenCV's distances differ in the last bit from call to call, and the same request must give the same bytes.
        # Their squares are whole numbers, so a table of what each gives is exact.
        squares = off_px.square().round().long()
        reach = round((REACH * self.soft_px) ** 2) + 1
        fall = torch.tensor([math.exp(-square / (2 * self.soft_px**2)) for square in range(reach)] + [0.0])
        return fall[squares.clamp(max=reach)]
