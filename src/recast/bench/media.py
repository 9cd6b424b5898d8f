"""Files in and out: frames a second of reading a clip, in the process that decodes it, and of encoding one."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import torch

from recast.bench.case import BenchCase, BenchConfig
from recast.types import Clip
from recast.video.read import Window, frames, opened
from recast.video.write import save_clip

SIZES = ((360, 640), (1080, 1920))
"""Rows and columns."""
COUNT, RATE = 48, Fraction(24)


def cases(config: BenchConfig) -> list[BenchCase]:
    """Reading H.264 of each size, and writing it."""
    made = []
    for rows, columns in SIZES:
        clip, file = _moving(rows, columns), config.folder / f"{columns}x{rows}.mp4"
        save_clip(clip, file)
        size = f"H.264, {COUNT} frames of {columns}x{rows}"
        made.append(BenchCase("media", "read", size, partial(_read, file), COUNT, "frame"))
        write = partial(save_clip, clip, config.folder / f"written-{columns}x{rows}.mp4", overwrite=True)
        made.append(BenchCase("media", "write", size, write, COUNT, "frame"))
    return made


def _moving(rows: int, columns: int) -> Clip:
    """Dim noise that moves by a pixel a frame over a ramp: neither still nor without order."""
    rng = torch.Generator().manual_seed(0)
    ground = torch.randint(0, 80, (3, rows, columns + COUNT), generator=rng, dtype=torch.uint8)
    ramp = (torch.arange(rows)[:, None] + torch.arange(columns)) * 160 // (rows + columns)
    moved = [ground[:, :, number : number + columns] + ramp.to(torch.uint8) for number in range(COUNT)]
    return Clip(torch.stack(moved), RATE)


def _read(file: Path) -> int:
    return sum(1 for _ in frames(opened(file), Window()))
