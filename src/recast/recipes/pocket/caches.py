"""The caches that pocket's generator is trained on: the networks that fill them, and the clips in them."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange
from torch import Tensor

from recast.conditions.depth import aligned, standardized
from recast.data import latent_cache
from recast.data.latent_cache import LatentCache
from recast.data.renders import RenderedDataset
from recast.engine.precision import chosen_precision, matrix_rates

NUM_PARTS = 8
PICKS = {"image": [0, 7], "video": list(range(8))}
"""The frames of a clip that each kind of cache holds."""
ALL_IMAGES = {"square": 8, "wide": 8, "tall": 8}
CLIPS_1800 = {"square": 4, "wide": 2}
CLIPS_3600 = {"square": 8, "wide": 4}
"""Parts of each pool: 1,500 and 300 clips, 3,000 and 600. The log has the sums alone; these parts come to them."""


@dataclass(frozen=True, kw_only=True)
class CacheVersion:
    """A folder of caches. vae, depth, pair: the presets whose networks fill it."""

    folder: str
    vae: str
    depth: str
    pair: str


FIRST = CacheVersion(folder="cache", vae="pocket-vae-2", depth="pocket-depth", pair="pocket-clip-2")
SECOND = CacheVersion(folder="cache-2", vae="pocket-vae-3", depth="pocket-depth-2", pair="pocket-clip-2")
THIRD = CacheVersion(folder="cache-3", vae="pocket-vae-3", depth="pocket-depth-2", pair="pocket-clip-3")
"""With the latents of the second and other embeddings. Which estimator filled the caches from version 2 on is not
recorded; the log says that the generator learned to read an older one's maps."""

Trained = Callable[[str, Path], Any]
"""A preset's name and a run folder to its trained network."""


def part_folder(run: Path, version: CacheVersion, kind: str, pool: str, part: int) -> Path:
    """The folder of one part."""
    return run / version.folder / f"{kind}-{pool}-{part}"


def parts_of(kind: str, clips: int) -> list[range]:
    """The clips of a pool that the eight parts hold: all of them as images, half as video."""
    edges = np.linspace(0, clips if kind == "image" else clips // 2, NUM_PARTS + 1).astype(int).tolist()
    return [range(start, stop) for start, stop in pairwise(edges)]


def opened(run: Path, version: CacheVersion, kind: str, parts: Mapping[str, int]) -> list[LatentCache]:
    """The caches of a kind, "image" or "video", the first parts of each pool."""
    named = [(pool, part) for pool, count in parts.items() for part in range(count)]
    return [cache for pool, part in named for cache in opened_part(run, version, kind, pool, part)]


def opened_part(run: Path, version: CacheVersion, kind: str, pool: str, part: int) -> list[LatentCache]:
    """One part, where it is whole; a pool of few clips has fewer parts."""
    folder = part_folder(run, version, kind, pool, part)
    return [LatentCache.opened(folder)] if (folder / "embeddings.npy").exists() else []


def fill(run: Path, version: CacheVersion, kind: str, parts: Mapping[str, int], trained: Trained) -> None:
    """Fills the latents of the first parts of each pool where they are not there yet."""
    encoders = _encoders(run, version, trained)
    for pool, count in parts.items():
        worlds = RenderedDataset.opened(run / "pool" / pool)
        for part, clips in enumerate(parts_of(kind, len(worlds))[:count]):
            if clips:
                folder = part_folder(run, version, kind, pool, part)
                latent_cache.fill(folder, worlds, clips, PICKS[kind], encoders)


def embed(run: Path, version: CacheVersion, trained: Trained) -> None:
    """The content embeddings of all caches of a version; apart from the latents, as other networks make them."""
    image = trained(version.pair, run).image
    for kind, picks in PICKS.items():
        for pool in ALL_IMAGES:
            worlds = RenderedDataset.opened(run / "pool" / pool)
            for part, clips in enumerate(parts_of(kind, len(worlds))):
                if (folder := part_folder(run, version, kind, pool, part)).exists():
                    latent_cache.embed(folder, worlds, clips, picks, image)


def copy_latents(run: Path, source: CacheVersion, target: CacheVersion) -> None:
    """Copies all but the embeddings; a part appears only when it is whole."""
    for folder in sorted((run / source.folder).glob("*-*[0-9]")):
        copy = run / target.folder / folder.name
        if not copy.exists():
            part = copy.with_suffix(".part")
            shutil.copytree(folder, part, ignore=shutil.ignore_patterns("embeddings.npy"), dirs_exist_ok=True)
            part.rename(copy)


def _encoders(run: Path, version: CacheVersion, trained: Trained) -> latent_cache.Encoders:
    vae, estimator = trained(version.vae, run), trained(version.depth, run)

    @torch.no_grad()
    def estimate(frames: np.ndarray) -> Tensor:
        pictures = rearrange(torch.tensor(frames).float() / 255, "t h w c -> t c h w")
        return aligned(standardized(rearrange(estimator(pictures).predicted_depth, "t h w -> t 1 h w")))

    scale = vae_scale(vae, RenderedDataset.opened(run / "pool" / "square"))
    return latent_cache.Encoders(vae, scale, estimate, chosen_precision(matrix_rates()))


@torch.no_grad()
def vae_scale(vae: AutoencoderKL, p: RenderedDataset) -> float:
    """What latents are multiplied with to have unit variance, measured on worlds."""
    every = max(1, len(p) // 200)
    pictures = torch.from_numpy(np.stack([p.frames[i, 0] for i in range(0, len(p), every)])).float() / 127.5 - 1
    mean = vae.encode(rearrange(pictures, "b h w c -> b c h w"), return_dict=False)[0].mean
    return round(1 / float(mean.std()), 5)
