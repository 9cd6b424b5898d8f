"""Cache of a pool's latents, depth and captions, for training an image network that reads words and depth."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.conditions.depth import depth_channel, normalized
from recast.conditions.detail import softened
from recast.data.renders import RenderedDataset
from recast.files import disk_told, whole_folder
from recast.types import Frames, Maps

LATENTS, DEPTH, CAPTIONS = "latents.npy", "depth.npy", "captions.json"
MULTIPLE = 16
"""Sides in pixels are multiples of it: eight for the autoencoder, and twice that for the network."""
Encode = Callable[[Float[Tensor, "t 3 h w"]], Float[Tensor, "t 4 y x"]]
"""Pictures of -1..1 to latents of unit variance."""
Estimate = Callable[[Frames], Maps]
"""Frames to inverse depth, up to a scale and shift of the clip."""


@dataclass(frozen=True, eq=False)
class WordCache:
    """Cached pictures of one size, fp16, with their captions.

    latents: [n t 4 y x], unit variance. depth: [n k t y x], the network's depth channel, -1..1, at t_s = 0 and at one
    other t_s of the clip. captions: several of each clip.
    """

    latents: Tensor
    depth: Tensor
    captions: list[list[str]]

    def __len__(self) -> int:
        return len(self.latents)

    @classmethod
    def opened(cls, folder: Path) -> "WordCache":
        """The cache in `folder`."""
        arrays = [torch.from_numpy(np.load(folder / name)) for name in (LATENTS, DEPTH)]
        return cls(*arrays, captions=json.loads((folder / CAPTIONS).read_text("utf-8")))


@torch.no_grad()
def fill(folder: Path, pool: RenderedDataset, encode: Encode, estimate: Estimate, *, side: int, seed: int = 0) -> None:
    """Writes the cache of a whole pool, at a short side of `side` px, where it is not there yet.

    Every second clip has estimated depth, so that the network is trained on the estimator's errors too.
    """
    if folder.exists():
        return
    rng = np.random.default_rng([seed, 5, len(pool)])
    rows = [_row(pool, clip, side, encode, estimate, detail=int(rng.integers(1, 8))) for clip in range(len(pool))]
    with disk_told(folder), whole_folder(folder) as part:
        for name, column in zip((LATENTS, DEPTH), zip(*rows, strict=True), strict=True):
            np.save(part / name, torch.stack(column).numpy())
        (part / CAPTIONS).write_text(json.dumps(pool.captions) + "\n", "utf-8")


def _row(
    pool: RenderedDataset, clip: int, side: int, encode: Encode, estimate: Estimate, *, detail: int
) -> tuple[Float[Tensor, "t 4 y x"], Float[Tensor, "2 t y x"]]:
    frames = _sized(rearrange(torch.from_numpy(np.array(pool.frames[clip])), "t h w c -> t c h w").float(), side)
    true = _sized(torch.from_numpy(pool.inverse[clip].astype(np.float32))[:, None], side)
    maps = normalized(estimate(frames.round().byte()) if clip % 2 else true)
    latents = encode(frames / 127.5 - 1)
    size = (latents.shape[-2], latents.shape[-1])
    depth = [depth_channel(softened(maps, level), size)[:, 0] for level in (0, detail)]
    return latents.half(), torch.stack(depth).half()


def _sized(planes: Float[Tensor, "t c h w"], side: int) -> Float[Tensor, "t c rows columns"]:
    """Planes of that short side, their longer one cut about the middle to a multiple of 16."""
    sides = planes.shape[-2:]
    if side != min(sides):
        sides = [round(each * side / min(sides)) for each in sides]
        planes = F.interpolate(planes, sides, mode="bilinear", antialias=True, align_corners=False)
    rows, columns = (each // MULTIPLE * MULTIPLE for each in sides)
    top, left = (sides[0] - rows) // 2, (sides[1] - columns) // 2
    return planes[..., top : top + rows, left : left + columns]
