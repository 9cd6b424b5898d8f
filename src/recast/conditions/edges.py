"""Edge maps by Canny's detector, with one pair of thresholds for the whole clip."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.conditions.clip_scale import ClipScale, RawMap, RawMaps
from recast.conditions.extractor import Extractor
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.types import Frames, Kind, Structure

REACH = 6
"""Distance from a line, in sigmas of its profile, at which drawing stops; the profile is 1.5e-8 there."""
FAINTEST = 24.0
"""Least gradient of an edge, in Sobel units (8 times grey levels per pixel); keeps out noise in plain pictures."""

Grey = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class EdgeExtractor(Extractor):
    """Canny's edges (Canny 1986), drawn soft: 1 on the line, with a Gaussian profile across it.

    Differs: thresholds come from the gradients of the whole clip, so that a line does not flicker as others change.
    """

    busy: float = 0.88
    """Quantile of gradients over the clip that a line must exceed to start, 0..1."""
    follow: float = 0.4
    """Lower threshold of hysteresis, as a share of the upper one, 0..1."""
    smooth_px: float = 1.0
    """Sigma of the blur before gradients are computed."""
    soft_px: float = 0.7
    """Sigma of a line's profile."""

    def __post_init__(self) -> None:
        if not (0 <= self.busy <= 1 and 0 <= self.follow <= 1):
            raise RequestError(f"edge shares busy {self.busy:g} and follow {self.follow:g} go from 0 to 1")
        if min(self.smooth_px, self.soft_px) <= 0:
            raise RequestError(f"edge blurs {self.smooth_px:g} and {self.soft_px:g} pixels must be above 0")

    @classmethod
    def opened(cls, _folder: ModelFolder, _device: torch.device) -> "EdgeExtractor":
        """The extractor; it needs no network."""
        return cls()

    @property
    def shares(self) -> tuple[float, ...]:
        """The quantile of gradients at which a line starts."""
        return (self.busy,)

    def measured(self, frames: Frames, part: slice, before: RawMap | None = None) -> RawMaps:  # noqa: ARG002 -- one by one
        """Gradients to the right and down of a part of the frames, in Sobel units."""
        pictures = rearrange(frames[part].cpu(), "t c h w -> t h w c").numpy()
        return torch.from_numpy(np.stack([self._slopes(frame) for frame in pictures])).float()

    def values(self, measured: RawMaps) -> Float[Tensor, "part 1 h w"]:
        """What the clip's quantiles are taken of: the gradients' sizes."""
        right, down = measured.unbind(1)
        return torch.from_numpy(np.hypot(right.numpy(), down.numpy()))[:, None]

    def scaled(self, measured: RawMaps, scale: ClipScale) -> Structure:
        """The structure of frames that were measured, by the scale of the whole clip."""
        start = max(scale.quantiles[0], FAINTEST)
        slopes = measured.to(torch.int16).numpy()
        lines = [cv2.Canny(right, down, self.follow * start, start, L2gradient=True) for right, down in slopes]
        return Structure(Kind.EDGES, rearrange([self._soft(line) for line in lines], "t h w -> t 1 h w"))

    def _slopes(self, frame: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
        grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), self.smooth_px)
        return np.stack([cv2.Sobel(grey, cv2.CV_16S, 1, 0), cv2.Sobel(grey, cv2.CV_16S, 0, 1)])

    def _soft(self, line: Grey) -> Float[Tensor, "h w"]:
        if not line.any():
            return torch.zeros(line.shape)
        off_px = torch.from_numpy(cv2.distanceTransform(255 - line, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
        # OpenCV's distances differ in the last bit from call to call, and the same request must give the same bytes.
        # Squared distances are integers, so a lookup table by them is exact.
        squares = off_px.square().round().long()
        reach = round((REACH * self.soft_px) ** 2) + 1
        fall = torch.tensor([math.exp(-square / (2 * self.soft_px**2)) for square in range(reach)] + [0.0])
        return fall[squares.clamp(max=reach)]
