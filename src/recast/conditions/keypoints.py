"""Between a frame's pixels, the crop around a person that ViTPose sees, and the peaks of its heat maps."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Heat = Float[np.ndarray, "points rows columns"]
AROUND = 1.25
"""How much of what is around a person its crop holds, as in training."""
KERNEL, SIGMA = 11, 0.8
"""Of the blur before peaks are refined: its width in places, and its deviation."""
FAINTEST, STRONGEST = 1e-3, 50.0


@dataclass(frozen=True)
class Crop:
    """A part of a frame, of the aspect of what the network sees. left, top, width and height: in pixels of the frame.

    It reaches from the middle of its first pixel to that of its last one (arXiv:1911.07524).
    """

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def around(cls, box: Float[np.ndarray, "4"], aspect: float) -> "Crop":
        """That around a box: left, top, right and bottom. aspect: width over height."""
        (left, top), (right, bottom) = box[:2], box[2:]
        width, height = max(right - left, aspect * (bottom - top), 1), max(bottom - top, (right - left) / aspect, 1)
        width, height = AROUND * width, AROUND * height
        return cls(*map(float, ((left + right - width) / 2, (top + bottom - height) / 2, width, height)))

    def cut(self, image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "rows columns 3"]:
        """Its pixels at `size`, rows and columns; black where it reaches beyond the frame."""
        across, down = (size[1] - 1) / self.width, (size[0] - 1) / self.height
        matrix = np.array([[across, 0, -across * self.left], [0, down, -down * self.top]])
        return cv2.warpAffine(image, matrix, size[::-1], flags=cv2.INTER_LINEAR)

    def points(self, heat: Heat) -> Float[np.ndarray, "points 3"]:
        """Where the peaks of heat maps are in the frame, and how high."""
        places, heights = peaks(heat)
        rows, columns = heat.shape[1:]
        scale = np.array([self.width / (columns - 1), self.height / (rows - 1)])
        return np.column_stack([places * scale + [self.left, self.top], heights])


def peaks(heat: Heat) -> tuple[Float[np.ndarray, "points 2"], Float[np.ndarray, " points"]]:
    """Column and row of each map's highest place, between places by a Newton step on its logarithm, and its height.

    arXiv:1910.06278 (DARK), section 3.2.
    """
    count, _, columns = heat.shape
    flat = heat.reshape(count, -1)
    best, heights = flat.argmax(1), flat.max(1)
    places = np.stack([best % columns, best // columns], axis=1).astype(np.float64)
    blurred = [cv2.GaussianBlur(each, (KERNEL, KERNEL), SIGMA, borderType=cv2.BORDER_REFLECT) for each in heat]
    logs = np.pad(np.log(np.clip(blurred, FAINTEST, STRONGEST)), ((0, 0), (1, 1), (1, 1)), mode="edge")
    # Where all of a map is 0 or less there is no peak; it is left out by its height.
    moved = [place - _newton(log, *map(int, place)) for place, log in zip(places, logs, strict=True)]
    return np.array(moved), heights


def _newton(log: Float[np.ndarray, "rows columns"], column: int, row: int) -> Float[np.ndarray, "2"]:
    """The step to the peak from a place; `log` has a place more on each side."""
    near = log[row : row + 3, column : column + 3]
    slope = np.array([near[1, 2] - near[1, 0], near[2, 1] - near[0, 1]]) / 2
    over = near[1, 2] - 2 * near[1, 1] + near[1, 0]
    down = near[2, 1] - 2 * near[1, 1] + near[0, 1]
    # Of the mixed slopes that the reference implementation takes.
    mixed = (near[2, 2] - near[1, 2] - near[2, 1] + 2 * near[1, 1] - near[1, 0] - near[0, 1] + near[0, 0]) / 2
    return np.linalg.inv([[over, mixed], [mixed, down]] + np.finfo(np.float32).eps * np.eye(2)) @ slope
