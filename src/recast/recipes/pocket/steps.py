"""`pocket`: the model that ships with the package, from nothing but rendered worlds.

Its stages hand on to each other through one run folder: pool, cache, tokenizer, and a folder for each training.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange
from torch import Tensor, nn
from transformers import CLIPTokenizer

from recast.conditions.depth import aligned
from recast.data import latent_cache, renders
from recast.data.latent_cache import LatentCache
from recast.data.renders import RenderedDataset
from recast.errors import RequestError
from recast.recipes.pocket import export
from recast.recipes.pocket.presets import POCKET
from recast.training.objectives import clip
from recast.training.objectives.prior import CaptionPairs, PriorData
from recast.training.preset import Preset
from recast.training.run import RESULT, TrainingRun, result
from recast.training.stages import Inputs
from recast.training.tokenizer import token_ids

ASSETS = Path(__file__).parents[2] / "assets" / "pocket"
CAPTIONED = ("square", "wide", "tall")
EVERY_POOL = tuple(plan.name for plan in renders.PLANS)
PICKS = {"image": [0, 7], "video": list(range(8))}
"""The frames of a clip that each stage sees."""


def open_pocket_run(
    name: str, preset: Preset, run: Path, *, data: Sequence[Path] = (), start: str | None = None
) -> TrainingRun:
    """A preset of pocket's, perhaps with other numbers, with what the stages before it left in the run's folder.

    Raises RequestError where data or a start are named: it reads what it needs from the run.
    """
    if data or start:
        raise RequestError(f"{name} reads what it needs from the folder of its run; leave out --data and --from")
    inputs, network = SOURCES[name](run)
    return TrainingRun(preset, inputs, run / name.removeprefix("pocket-"), network)


def network(name: str, run: Path) -> Any:  # noqa: ANN401 -- each preset has its own
    """What a preset of pocket's comes to, in evaluation mode: read where it is done, else trained to the end."""
    return result(open_pocket_run(name, POCKET[name], run))


def _pictures(run: Path) -> tuple[Inputs, None]:
    return Inputs(pools=list(renders.opened(run / "pool", EVERY_POOL).values())), None


def _captioned(run: Path) -> tuple[Inputs, None]:
    pools = list(renders.opened(run / "pool", CAPTIONED).values())
    return Inputs(pools=pools, folder=run / "tokenizer"), None


def _heard(run: Path) -> tuple[Inputs, None]:
    reader, ids, seen = tokenizer(run), [], []
    for p, clips, folder in _parts(run, "image"):
        ids.append(torch.from_numpy(clip.ids_of(reader, p.captions[clips.start : clips.stop])))
        seen.append(LatentCache.opened(folder).embeddings)
    pairs = CaptionPairs(torch.cat(ids), torch.cat(seen))
    text = network("pocket-clip", run).text.requires_grad_(False)
    return Inputs(prior_data=PriorData(pairs, text, token_ids(reader, [""])[0])), None


def _images(run: Path) -> tuple[Inputs, None]:
    return Inputs(sources=caches(run, "image"), vae=_autoencoder(run)), None


def _video(run: Path) -> tuple[Inputs, nn.Module]:
    started = POCKET["pocket-video"].stage.prepared(network("pocket-images", run))
    return Inputs(sources=caches(run, "video") + caches(run, "image"), vae=_autoencoder(run)), started


def _autoencoder(run: Path) -> AutoencoderKL | None:
    """The run's, for a look at samples, where it and worlds to measure its scale on are still there."""
    if not ((run / "vae" / RESULT).exists() and (run / "pool" / "square").exists()):
        return None
    vae = network("pocket-vae", run)
    vae.register_to_config(scaling_factor=vae_scale(vae, RenderedDataset.opened(run / "pool" / "square")))
    return vae


def _decoder(run: Path) -> tuple[Inputs, nn.Module]:
    return _pictures(run)[0], POCKET["pocket-decoder"].stage.prepared(network("pocket-vae", run))


SOURCES: dict[str, Callable[[Path], tuple[Inputs, nn.Module | None]]] = {
    "pocket-vae": _pictures,
    "pocket-clip": _captioned,
    "pocket-depth": _pictures,
    "pocket-prior": _heard,
    "pocket-images": _images,
    "pocket-video": _video,
    "pocket-decoder": _decoder,
}
"""What each training draws on, and the network that it goes on from."""


def tokenizer(run: Path) -> CLIPTokenizer:
    """The run's tokenizer, which the CLIP pair's training writes first."""
    return CLIPTokenizer.from_pretrained(run / "tokenizer")


def caches(run: Path, stage: str) -> list[LatentCache]:
    """The caches of a stage, "image" or "video", that are whole."""
    folders = sorted((run / "cache").glob(f"{stage}-*[0-9]"))
    return [LatentCache.opened(folder) for folder in folders if (folder / "embeddings.npy").exists()]


def fill_caches(run: Path, stage: str, shares: slice = slice(None)) -> None:
    """The caches of a stage: two frames of most clips for "image", every frame of some clips for "video".

    shares: which of the eight parts of each to fill, so that several processes can share the work.
    """
    encoders = encoders_of(run)
    for name in CAPTIONED:
        p = RenderedDataset.opened(run / "pool" / name)
        for share, clips in list(enumerate(shares_of(stage, len(p))))[shares]:
            latent_cache.fill(run / "cache" / f"{stage}-{name}-{share}", p, clips, PICKS[stage], encoders)


def embed_caches(run: Path) -> None:
    """The content embeddings of all caches; apart from the latents, so that the two encoders can be trained at once."""
    image = network("pocket-clip", run).image
    for stage, picks in PICKS.items():
        for p, clips, folder in _parts(run, stage):
            latent_cache.embed(folder, p, clips, picks, image)


def _parts(run: Path, stage: str) -> Iterator[tuple[RenderedDataset, range, Path]]:
    """The caches of a stage that hold latents: the pool and the clips of it that each was made of, and its folder."""
    for name in CAPTIONED:
        p = RenderedDataset.opened(run / "pool" / name)
        for share, clips in enumerate(shares_of(stage, len(p))):
            if (folder := run / "cache" / f"{stage}-{name}-{share}").exists():
                yield p, clips, folder


def shares_of(stage: str, clips: int) -> list[range]:
    """The clips of a pool that a stage is trained on, in eight parts: all of them as images, half as video."""
    edges = np.linspace(0, clips if stage == "image" else clips // 2, 9).astype(int).tolist()
    return [range(start, stop) for start, stop in pairwise(edges) if start < stop]


def encoders_of(run: Path) -> latent_cache.Encoders:
    """The trained networks that fill the caches; the depth estimator where its training has begun."""
    vae, estimate = network("pocket-vae", run), None
    if (run / "depth").exists():
        estimator = network("pocket-depth", run)

        @torch.no_grad()
        def estimate(frames: np.ndarray) -> Tensor:
            pictures = rearrange(torch.from_numpy(frames).float() / 255, "t h w c -> t c h w")
            return aligned(rearrange(estimator(pictures).predicted_depth, "t h w -> t 1 h w"))

    return latent_cache.Encoders(vae, vae_scale(vae, RenderedDataset.opened(run / "pool" / "square")), estimate)


def write_model(run: Path, folder: Path = ASSETS) -> None:
    """Writes the model folder that ships in the package; stages that were not begun are left out where they can be."""
    first = network("pocket-vae", run)
    scale = vae_scale(first, RenderedDataset.opened(run / "pool" / "square"))
    vae = network("pocket-decoder", run) if (run / "decoder").exists() else first
    vae.register_to_config(scaling_factor=scale)
    export.write(
        folder,
        generator=network("pocket-video" if (run / "video").exists() else "pocket-images", run),
        vae=vae,
        pair=network("pocket-clip", run),
        prior=network("pocket-prior", run),
        depth=network("pocket-depth", run),
        tokenizer=tokenizer(run),
    )


@torch.no_grad()
def vae_scale(vae: AutoencoderKL, p: RenderedDataset) -> float:
    """What latents are multiplied with to have unit variance, measured on worlds."""
    every = max(1, len(p) // 200)
    pictures = torch.from_numpy(np.stack([p.frames[i, 0] for i in range(0, len(p), every)])).float() / 127.5 - 1
    mean = vae.encode(rearrange(pictures, "b h w c -> b c h w"), return_dict=False)[0].mean
    return round(1 / float(mean.std()), 5)


CHORES: dict[str, Callable[[Path], object]] = {
    "pocket-pool": lambda run: renders.render(run / "pool"),
    "pocket-image-cache": lambda run: fill_caches(run, "image"),
    "pocket-video-cache": lambda run: fill_caches(run, "video"),
    "pocket-embeddings": embed_caches,
    "pocket-export": lambda run: write_model(run, run / "model"),
}
"""What is done between the trainings, by name."""

ORDER = (
    "pocket-pool",
    "pocket-vae",
    "pocket-clip",
    "pocket-depth",
    "pocket-image-cache",
    "pocket-video-cache",
    "pocket-embeddings",
    "pocket-prior",
    "pocket-images",
    "pocket-video",
    "pocket-decoder",
    "pocket-export",
)
"""Every step of `pocket`, as they need each other; vae, clip and depth may run at once."""
