"""Cache of a pool's latents, structure latents and content embeddings, for training the generator."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from recast.conditions.depth import normalized
from recast.conditions.detail import softened
from recast.conditions.image import embedded
from recast.data.examples import Example, moments
from recast.data.renders import RenderedDataset
from recast.engine.precision import autocast
from recast.files import disk_told, whole_file, whole_folder

ARRAYS = ("latents", "structure", "detail", "embeddings")
METADATA = "cache.json"
"""What the latents were computed in, as {"precision": "bf16"}: those of fp32 are rounded otherwise."""
Estimate = Callable[[np.ndarray], Float[Tensor, "t 1 h w"]]
"""Frames [t h w 3] to inverse depth, up to a scale and shift of the clip."""


@dataclass(frozen=True, eq=False)
class LatentCache:
    """Cached examples of one pool, fp16.

    latents: [n t 4 h w], unit variance; structure: [n 2 t 4 h w], at t_s = 0 and at one other t_s of the clip;
    detail: [n], that t_s, 1..7; embeddings: [n t d], of norm 1.
    """

    latents: Tensor
    structure: Tensor
    detail: Tensor
    embeddings: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def example(self, index: int) -> Example:
        """The example of one clip; only the mode of its latents is known."""
        return Example(
            moments(self.latents[index]),
            self.structure[index],
            levels=(0.0, float(self.detail[index])),
            embeddings=self.embeddings[index],
        )

    @classmethod
    def opened(cls, folder: Path) -> "LatentCache":
        """The cache in `folder`."""
        return cls(*(torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ARRAYS))


@dataclass(frozen=True, eq=False)
class Encoders:
    """The trained networks that fill a cache with latents. precision: of the autoencoder's products, bf16 or fp32."""

    vae: AutoencoderKL
    scale: float
    estimate: Estimate | None = None
    precision: str = "fp32"

    @torch.no_grad()
    def latents(self, pictures: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t 4 y x"]:
        """Pictures of -1..1 as latents of unit variance."""
        with autocast("cpu", self.precision):
            mean = self.vae.encode(pictures, return_dict=False)[0].mean
        return mean.float() * self.scale


def fill(
    folder: Path, pool: RenderedDataset, clips: range, picks: list[int], encoders: Encoders, *, seed: int = 0
) -> None:
    """Writes the latents of clips of a pool, of the frames `picks` of each, that are not cached yet.

    Every second clip uses estimated depth where there is an estimator, so that the generator is trained on its errors.
    """
    if folder.exists():
        return
    rng = np.random.default_rng([seed, 4, clips.start])
    rows = [_row(pool, i, picks, encoders, int(rng.integers(1, 8))) for i in clips]
    with disk_told(folder), whole_folder(folder) as part:
        for name, column in zip(ARRAYS[:-1], zip(*rows, strict=True), strict=True):
            np.save(part / f"{name}.npy", torch.stack(column).half().numpy())
        (part / METADATA).write_text(json.dumps({"precision": encoders.precision}) + "\n")


def _row(pool: RenderedDataset, index: int, picks: list[int], encoders: Encoders, detail: int) -> tuple[Tensor, ...]:
    whole = np.asarray(pool.frames[index])
    frames = whole[picks]
    if encoders.estimate is not None and index % 2:
        inverse = encoders.estimate(whole)[picks]  # an estimator may read neighbouring frames
    else:
        inverse = torch.from_numpy(pool.inverse[index][picks].astype(np.float32))[:, None]
    maps = normalized(inverse)
    pictures = rearrange(torch.from_numpy(frames).float() / 127.5 - 1, "t h w c -> t c h w")
    greys = [repeat(softened(maps, level), "t 1 h w -> t c h w", c=3) * 2 - 1 for level in (0, detail)]
    latents = encoders.latents(torch.cat([pictures, *greys]))
    own, *structure = latents.split(len(picks))
    return own, torch.stack(structure), torch.tensor(float(detail))


def embed(folder: Path, pool: RenderedDataset, clips: range, picks: list[int], image: nn.Module) -> None:
    """Writes the content embeddings of the same frames, padded to squares (`keep_all`), of norm 1."""
    path = folder / "embeddings.npy"
    if path.exists():
        return
    rows = [embedded(image, np.asarray(pool.frames[i][picks])).half().numpy() for i in clips]
    with disk_told(path), whole_file(path) as part, part.open("wb") as file:
        np.save(file, np.stack(rows))
