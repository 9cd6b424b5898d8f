"""What makes `pocket-words`, step by step, in one run folder: pool, cache, training, export."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from recast.conditions.depth import DepthExtractor
from recast.data import renders, word_cache
from recast.data.latent_cache import Encoders
from recast.data.renders import RenderedDataset
from recast.data.word_cache import WordCache
from recast.engine.precision import chosen_precision, matrix_rates
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.recipes.pocket_words import export
from recast.recipes.pocket_words.presets import POCKET_WORDS, POOLS, SIDE
from recast.training.objectives.clip import ids_of
from recast.training.objectives.words import WordData
from recast.training.preset import Preset
from recast.training.run import RESULT, TrainingRun, train
from recast.training.stages import Inputs
from recast.training.tokenizer import token_ids
from recast.training.word_stage import WordStage

BASE = "pocket"
"""Whose weights it starts from, and whose other networks it shares."""


def open_words_run(
    name: str, preset: Preset, run: Path, *, data: Sequence[Path] = (), start: str | None = None
) -> TrainingRun:
    """A training, perhaps with other numbers, on what the steps before it left in the run's folder.

    Raises RequestError where data or a start are named, or what it needs is missing.
    """
    if data or start:
        raise RequestError(f"{name} reads what it needs from the folder of its run; leave out --data and --from")
    assert isinstance(preset.stage, WordStage)
    base = ModelFolder.found(BASE)
    inputs = Inputs(start=base, word_data=_word_data(base, run))
    return TrainingRun(preset, inputs, run_folder(name, run))


def network(name: str, run: Path) -> UNet2DConditionModel:
    """What a training comes to, in evaluation mode: read where it is done, else trained to the end."""
    preset, path = POCKET_WORDS[name], run_folder(name, run) / RESULT
    if not path.exists():
        return train(open_words_run(name, preset, run))
    with torch.random.fork_rng(devices=[]):
        found = preset.stage.network(Inputs())
    found.load_state_dict(load_file(path))
    return found.eval()


def fill_cache(run: Path) -> None:
    """The latents, depth and captions of the pools, by pocket's autoencoder and depth estimator."""
    base = ModelFolder.found(BASE)
    vae = base.network("vae", AutoencoderKL)
    encoders = Encoders(vae, vae.config.scaling_factor, precision=chosen_precision(matrix_rates()))
    extractor = DepthExtractor.opened(base, torch.device("cpu"))
    for plan in POOLS:
        pool = RenderedDataset.opened(_folder(run) / "pool" / plan.name)
        word_cache.fill(
            _cache(run, plan.name),
            pool,
            encoders.latents,
            lambda frames: extractor.measured(frames, slice(0, len(frames))),
            side=SIDE,
        )


def write_model(run: Path, folder: Path) -> None:
    """Writes the model folder."""
    export.write(folder, network("pocket-words-images", run), ModelFolder.found(BASE))


def _word_data(base: ModelFolder, run: Path) -> WordData:
    folders = [_cache(run, plan.name) for plan in POOLS]
    if missing := [folder for folder in folders if not folder.is_dir()]:
        raise RequestError(f"{missing[0]} is missing; the steps before this one fill it")
    caches = [WordCache.opened(folder) for folder in folders]
    tokenizer = base.part("tokenizer", CLIPTokenizer)
    text = base.network("text_encoder", CLIPTextModelWithProjection).requires_grad_(False)
    ids = [torch.from_numpy(ids_of(tokenizer, cache.captions)) for cache in caches]
    return WordData(caches, ids, text, token_ids(tokenizer, [""])[0])


def run_folder(name: str, run: Path) -> Path:
    """Where a training keeps its checkpoints and its weights."""
    return _folder(run) / name.removeprefix("pocket-words-")


def _cache(run: Path, pool: str) -> Path:
    return _folder(run) / "cache" / pool


def _folder(run: Path) -> Path:
    return run / "words"


CHORES: dict[str, Callable[[Path], object]] = {
    "pocket-words-pool": lambda run: renders.render(_folder(run) / "pool", POOLS),
    "pocket-words-cache": fill_cache,
    "pocket-words-export": lambda run: write_model(run, run_folder("pocket-words-model", run)),
}

ORDER = (
    "pocket-words-pool",
    "pocket-words-cache",
    "pocket-words-images",
    "pocket-words-export",
)
"""Every step of `pocket-words`."""
