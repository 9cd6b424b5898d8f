"""Materials to curate, made on the spot: worlds as frames and as films, and settings that are quick to try."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange, repeat

from recast.curation.buckets import Size
from recast.curation.settings import Settings
from recast.types import Clip
from recast.video.write import save_clip
from recast.world import rendered, sampled

SQUARE, WIDE = Size(64, 64), Size(96, 64)
QUICK = {"frames": 4, "stride": 2, "buckets": (SQUARE, WIDE), "model": None}
"""Settings for small films: clips of 4 frames that span 7."""


def settings(**more) -> Settings:
    return Settings(**QUICK | more)


@cache
def world(seed, frames=16, height=96, width=96, **wished):
    """Frames [t 3 h w] of a world whose camera moves, so that it is neither static nor too fast."""
    footage = rendered(sampled(seed, **{"look": "plain", "move": "orbit"} | wished), frames, height, width, 0.04)
    return rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w")


def film(path: Path, *parts, fps=25) -> Path:
    """Writes frames one after the other as one video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_clip(Clip(torch.cat(parts), Fraction(fps)), path, overwrite=True)
    return path


def still(frame, count):
    return repeat(frame, "c h w -> t c h w", t=count)


def lettered(frames, text="SUBSCRIBE NOW"):
    """Frames with a line of text laid over them."""
    drawn = []
    for frame in rearrange(frames, "t c h w -> t h w c").numpy():
        image = np.ascontiguousarray(frame)
        scale = image.shape[1] / 300
        for colour, width in (((0, 0, 0), 8), ((255, 255, 255), 2)):
            cv2.putText(
                image, text, (8, image.shape[0] // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA
            )
        drawn.append(image)
    return rearrange(torch.from_numpy(np.stack(drawn)), "t h w c -> t c h w")
