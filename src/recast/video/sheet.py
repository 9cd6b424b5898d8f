"""Contact sheets: frames of several clips side by side, a row for each, with a label above."""

from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from recast.errors import RequestError
from recast.files import disk_told, whole_file
from recast.video.resize import resized

GAP = 4
PAPER, INK = 255, 32
LABEL_OF_HEIGHT = 0.09
SMALLEST_LABEL_PX = 12

Picture = UInt8[Tensor, "3 _ _"]


def sheet(
    rows: list[list[Picture]], labels: list[str] | None = None, *, columns: int | None = None, height: int | None = None
) -> UInt8[Tensor, "3 H W"]:
    """One picture of many: a row for each list, each frame scaled to `height` px (None for the first frame's).

    labels: a line of text above each row. columns: at most so many frames of a row, evenly chosen, first and last kept.
    Raises RequestError for no frames, or labels that are not one to a row.
    """
    if not rows or not all(rows):
        raise RequestError("a contact sheet needs at least one frame in each row")
    if labels is not None and len(labels) != len(rows):
        raise RequestError(f"there are {len(labels)} labels for {len(rows)} rows; give one to each row")
    height = height or rows[0][0].shape[-2]
    strips = [_strip([_scaled(frame, height) for frame in _chosen(row, columns)]) for row in rows]
    width = max(strip.shape[-1] for strip in strips)
    parts = []
    for strip, label in zip_longest(strips, labels or []):
        parts += [] if label is None else [label_band(label, width, height)]
        parts += [_padded(strip, width), _blank(GAP, width)]
    return torch.cat(parts[:-1], dim=-2)


def _chosen(row: list[Picture], columns: int | None) -> list[Picture]:
    if columns is None or len(row) <= columns:
        return row
    places = np.linspace(0, len(row) - 1, columns).round().astype(int)
    return [row[place] for place in places]


def _scaled(frame: Picture, height: int) -> Picture:
    width = max(1, round(frame.shape[-1] * height / frame.shape[-2]))
    return resized(frame[None], (height, width))[0]


def _strip(frames: list[Picture]) -> Picture:
    gap = _blank(frames[0].shape[-2], GAP)
    return torch.cat([part for frame in frames for part in (gap, frame)][1:], dim=-1)


def _blank(height: int, width: int) -> Picture:
    return torch.full((3, height, width), PAPER, dtype=torch.uint8)


def _padded(strip: Picture, width: int) -> Picture:
    return torch.cat([strip, _blank(strip.shape[-2], width - strip.shape[-1])], dim=-1)


def label_band(text: str, width: int, height: int) -> Picture:
    """A line of text to stand above a picture of this height."""
    px = max(SMALLEST_LABEL_PX, round(height * LABEL_OF_HEIGHT))
    band = Image.new("RGB", (width, px + px // 2), (PAPER,) * 3)
    ImageDraw.Draw(band).text((GAP, px // 4), text, fill=(INK,) * 3, font=ImageFont.load_default(px))
    return rearrange(torch.from_numpy(np.array(band)), "h w c -> c h w")


def saved(image: UInt8[Tensor, "3 h w"], path: Path) -> Path:
    """Writes a picture as PNG and returns its path. Raises RequestError, or WriteError, where that cannot be done."""
    picture = Image.fromarray(rearrange(image, "c h w -> h w c").contiguous().cpu().numpy())
    try:
        with disk_told(path), whole_file(path) as part:
            picture.save(part, format="PNG")
    except OSError as error:
        raise RequestError(f"the picture cannot be written ({error.strerror}): {path}") from error
    return path
