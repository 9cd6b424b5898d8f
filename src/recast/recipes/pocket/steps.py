"""`pocket`: the model that ships with the package, from nothing but rendered worlds.

Its steps hand on to each other through one run folder: pool, caches, tokenizer, and a folder for each training.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file
from transformers import CLIPTokenizer

from recast.data import renders
from recast.data.renders import RenderedDataset
from recast.errors import RequestError
from recast.recipes.pocket import caches, export
from recast.recipes.pocket.caches import ALL_IMAGES, CLIPS_1800, CLIPS_3600, FIRST, SECOND, THIRD, CacheVersion
from recast.recipes.pocket.presets import POCKET
from recast.training.component_stages import PriorStage
from recast.training.objectives import clip
from recast.training.objectives.prior import CaptionPairs, PriorData
from recast.training.preset import Preset
from recast.training.run import RESULT, TrainingRun, train
from recast.training.stages import Inputs
from recast.training.tokenizer import token_ids

ASSETS = Path(__file__).parents[2] / "assets" / "pocket"
CAPTIONED = ("square", "wide", "tall")
TEXTURED = (*CAPTIONED, "textured", "textured-wide")
PHOTOGRAPHIC = (*TEXTURED, "solid", "solid-wide", "close")
EIGHT_FRAMES = (*CAPTIONED, "moving", "moving-wide")
POOLS = {
    "pocket-vae": TEXTURED,
    "pocket-vae-2": TEXTURED,
    "pocket-vae-3": PHOTOGRAPHIC,
    "pocket-decoder": PHOTOGRAPHIC,
    "pocket-clip": CAPTIONED,
    "pocket-clip-2": CAPTIONED,
    "pocket-clip-3": CAPTIONED,
    "pocket-depth": TEXTURED,
    "pocket-depth-2": PHOTOGRAPHIC,
    "pocket-depth-3": PHOTOGRAPHIC,
    "pocket-depth-4": PHOTOGRAPHIC,
    "pocket-depth-5": PHOTOGRAPHIC,
    "pocket-depth-6": EIGHT_FRAMES,
}
"""The pools that each training of a component draws on."""
CACHES: dict[str, tuple[CacheVersion, Mapping[str, int]]] = {
    "pocket-images": (FIRST, {}),
    "pocket-images-2": (FIRST, {}),
    "pocket-video": (SECOND, CLIPS_1800),
    "pocket-video-2": (SECOND, CLIPS_1800),
    "pocket-video-3": (SECOND, CLIPS_3600),
    "pocket-video-4": (SECOND, CLIPS_3600),
    "pocket-video-5": (THIRD, CLIPS_3600),
}
"""The caches that each training of the generator draws on, all images of them and these clips."""


def open_pocket_run(
    name: str, preset: Preset, run: Path, *, data: Sequence[Path] = (), start: str | None = None
) -> TrainingRun:
    """A preset of pocket's, perhaps with other numbers, with what the steps before it left in the run's folder.

    Raises RequestError where data or a start are named: it reads what it needs from the run.
    """
    if data or start:
        raise RequestError(f"{name} reads what it needs from the folder of its run; leave out --data and --from")
    inputs = _inputs(name, run)
    started = preset.stage.prepared(network(preset.start, run)) if preset.start else None
    return TrainingRun(preset, inputs, run_folder(name, run), started)


def network(name: str, run: Path) -> Any:  # noqa: ANN401 -- each preset has its own
    """What a preset of pocket's comes to, in evaluation mode: read where it is done, else trained to the end."""
    path = run_folder(name, run) / RESULT
    if not path.exists():
        return train(open_pocket_run(name, POCKET[name], run))
    found = untrained(name, run)
    found.load_state_dict(load_file(path))
    return found.eval()


def untrained(name: str, run: Path) -> Any:  # noqa: ANN401
    """A preset's network with random weights, without reading what it is trained on.

    run: where the tokenizer is, which a CLIP pair needs.
    """
    preset = POCKET[name]
    if preset.start:
        return preset.stage.prepared(untrained(preset.start, run))
    if isinstance(preset.stage, PriorStage):
        return preset.stage.depths.network()
    with torch.random.fork_rng(devices=[]):
        return preset.stage.network(Inputs(folder=run / "tokenizer"))


def tokenizer(run: Path) -> CLIPTokenizer:
    """The run's tokenizer, which the CLIP pair's training writes first."""
    return CLIPTokenizer.from_pretrained(run / "tokenizer")


def write_model(run: Path, folder: Path = ASSETS) -> None:
    """Writes the model folder that ships in the package, from the last instalment of each part."""
    first = network("pocket-vae-3", run)
    scale = caches.vae_scale(first, RenderedDataset.opened(run / "pool" / "square"))
    vae = network("pocket-decoder", run) if (run / "decoder").exists() else first
    vae.register_to_config(scaling_factor=scale)
    export.write(
        folder,
        generator=network("pocket-video-5", run),
        vae=vae,
        pair=network("pocket-clip-3", run),
        prior=network("pocket-prior", run),
        depth=network("pocket-depth-6", run),
        tokenizer=tokenizer(run),
    )


def run_folder(name: str, run: Path) -> Path:
    """Where a training keeps its checkpoints and its weights."""
    return run / name.removeprefix("pocket-")


def _inputs(name: str, run: Path) -> Inputs:
    if name in POOLS:
        pools = list(renders.opened(run / "pool", POOLS[name]).values())
        return Inputs(pools=pools, folder=run / "tokenizer")
    if name not in CACHES:
        return Inputs(prior_data=_prior_data(run))
    version, clips = CACHES[name]
    sources = [*caches.opened(run, version, "video", clips), *caches.opened(run, version, "image", ALL_IMAGES)]
    return Inputs(sources=sources, vae=_autoencoder(version, run))


def _prior_data(run: Path) -> PriorData:
    reader, ids, seen = tokenizer(run), [], []
    for name in CAPTIONED:
        p = RenderedDataset.opened(run / "pool" / name)
        spoken = torch.from_numpy(clip.ids_of(reader, p.captions))
        for part, clips in enumerate(caches.parts_of("image", len(p))):
            for cache in caches.opened_part(run, THIRD, "image", name, part):
                ids.append(spoken[clips.start : clips.stop])
                seen.append(cache.embeddings)
    text = network(THIRD.pair, run).text.requires_grad_(False)
    return PriorData(CaptionPairs(torch.cat(ids), torch.cat(seen)), text, token_ids(reader, [""])[0])


def _autoencoder(version: CacheVersion, run: Path) -> AutoencoderKL | None:
    """The one that filled the caches, for a look at samples, where it and worlds to measure its scale on remain."""
    if not ((run_folder(version.vae, run) / RESULT).exists() and (run / "pool" / "square").exists()):
        return None
    vae = network(version.vae, run)
    vae.register_to_config(scaling_factor=caches.vae_scale(vae, RenderedDataset.opened(run / "pool" / "square")))
    return vae


def _embeddings_3(run: Path) -> None:
    caches.copy_latents(run, SECOND, THIRD)
    caches.embed(run, THIRD, network)


def _video_cache_3(run: Path) -> None:
    caches.fill(run, SECOND, "video", CLIPS_3600, network)
    caches.embed(run, SECOND, network)


CHORES: dict[str, Callable[[Path], object]] = {
    "pocket-pool": lambda run: renders.render(run / "pool"),
    "pocket-image-cache": lambda run: caches.fill(run, FIRST, "image", ALL_IMAGES, network),
    "pocket-embeddings": lambda run: caches.embed(run, FIRST, network),
    "pocket-image-cache-2": lambda run: caches.fill(run, SECOND, "image", ALL_IMAGES, network),
    "pocket-video-cache-2": lambda run: caches.fill(run, SECOND, "video", CLIPS_1800, network),
    "pocket-embeddings-2": lambda run: caches.embed(run, SECOND, network),
    "pocket-video-cache-3": _video_cache_3,
    "pocket-embeddings-3": _embeddings_3,
    "pocket-export": lambda run: write_model(run, run / "model"),
}
"""What is done between the trainings, by name."""

ORDER = (
    "pocket-pool",
    "pocket-vae",
    "pocket-vae-2",
    "pocket-clip",
    "pocket-clip-2",
    "pocket-depth",
    "pocket-image-cache",
    "pocket-embeddings",
    "pocket-images",
    "pocket-images-2",
    "pocket-vae-3",
    "pocket-depth-2",
    "pocket-image-cache-2",
    "pocket-video-cache-2",
    "pocket-embeddings-2",
    "pocket-video",
    "pocket-video-2",
    "pocket-depth-3",
    "pocket-depth-4",
    "pocket-depth-5",
    "pocket-video-cache-3",
    "pocket-video-3",
    "pocket-video-4",
    "pocket-clip-3",
    "pocket-embeddings-3",
    "pocket-prior",
    "pocket-video-5",
    "pocket-depth-6",
    "pocket-export",
)
"""Every step of `pocket` 5, in the order of its versions as far as the log tells it."""
