"""What makes the model of a system, step by step, in one run folder: worlds, caches, trainings, export."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from recast.data import renders, triplets, video_cache
from recast.data.latent_cache import Encoders
from recast.data.renders import RenderedDataset, RenderPlan
from recast.data.triplets import TripletDataset
from recast.data.video_cache import VideoCache
from recast.engine.precision import chosen_precision, matrix_rates
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.networks import storage
from recast.networks.conditioned import ConditionedVideo
from recast.recipes.systems import export
from recast.recipes.systems.condition_maps import people_conditions, world_conditions
from recast.recipes.systems.presets import PEOPLE, SYSTEM_PRESETS, SYSTEMS, TRIPLETS, WORLDS
from recast.training.objectives.clip import ids_of
from recast.training.objectives.conditioned import VideoData
from recast.training.preset import Preset
from recast.training.run import RESULT, SEED, TrainingRun, train
from recast.training.stages import Inputs
from recast.training.tokenizer import token_ids
from recast.training.video_stage import VideoStage

BASE, MOTION = "pocket-words", "pocket"
"""Whose image network they begin with; and whose layers over time, and all other networks."""
PLANS = {plan.name: plan for plan in (WORLDS, TRIPLETS, PEOPLE)}


def open_system_run(
    name: str, preset: Preset, run: Path, *, data: Sequence[Path] = (), start: str | None = None
) -> TrainingRun:
    """A training, perhaps with other numbers, on what the steps before it left in the run's folder.

    Raises RequestError where data or a start are named, or what it needs is missing.
    """
    if data or start:
        raise RequestError(f"{name} reads what it needs from the folder of its run; leave out --data and --from")
    stage, system = preset.stage, SYSTEMS[system_of(name)]
    assert isinstance(stage, VideoStage)
    inputs = Inputs(start=ModelFolder.found(BASE), video_data=_video_data(system.data[name], run))
    initial = stage.prepared(network(preset.start, run)) if preset.start else initial_network(stage, inputs)
    return TrainingRun(preset, inputs, run_folder(name, run), initial)


def initial_network(stage: VideoStage, inputs: Inputs) -> ConditionedVideo:
    """The network at step 0, deterministic: the start's, with pocket's layers over time where these see all frames."""
    with torch.random.fork_rng(devices=[]):  # modules initialise their weights from the global generator
        torch.manual_seed(SEED)
        initial = stage.network(inputs)
    if not stage.causal:
        motion = storage.loaded(ModelFolder.found(MOTION)).temporal_state_dict()
        initial.net.unet.load_state_dict(motion, strict=False)
    return initial


def network(name: str, run: Path) -> ConditionedVideo:
    """What a training comes to, in evaluation mode: read where it is done, else trained to the end."""
    preset, path = SYSTEM_PRESETS[name], run_folder(name, run) / RESULT
    if not path.exists():
        return train(open_system_run(name, preset, run))
    assert isinstance(preset.stage, VideoStage)
    found = preset.stage.network(Inputs())
    found.load_state_dict(load_file(path))
    return found.eval()


def system_of(name: str) -> str:
    """The system that has a training."""
    return next(system for system, held in SYSTEMS.items() if name in held.presets)


def run_folder(name: str, run: Path) -> Path:
    """Where a training keeps its checkpoints and its weights."""
    system = system_of(name)
    return run / system / name.removeprefix(f"{system}-")


def write_model(system: str, run: Path) -> None:
    """Writes the model folder of a system, `run/SYSTEM/model`."""
    held = SYSTEMS[system]
    # pocket-words has the same text encoder and autoencoder, but no encoder of pictures.
    export.write(run / system / "model", network(held.last, run), ModelFolder.found(MOTION), held.facts)


def render_pool(plan: RenderPlan, run: Path) -> None:
    """Renders the worlds of a plan where they are not there yet."""
    if plan.name == TRIPLETS.name:
        triplets.render_triplets(run / "worlds" / "pool", plan)
    else:
        renders.render(run / "worlds" / "pool", (plan,))


def fill_cache(plan: RenderPlan, run: Path) -> None:
    """Fills the cache of rendered worlds, by pocket's networks."""
    base = ModelFolder.found(MOTION)
    vae = base.network("vae", AutoencoderKL)
    encoders = Encoders(vae, vae.config.scaling_factor, precision=chosen_precision(matrix_rates()))
    pool, cache = run / "worlds" / "pool" / plan.name, _cache(plan.name, run)
    if plan.name == TRIPLETS.name:
        video_cache.fill_triplets(cache, TripletDataset.opened(pool), encoders.latents)
    elif plan.name == PEOPLE.name:
        video_cache.fill(cache, RenderedDataset.opened(pool), encoders.latents, people_conditions(plan))
    else:
        image = base.network("image_encoder", CLIPVisionModelWithProjection)
        video_cache.fill(cache, RenderedDataset.opened(pool), encoders.latents, world_conditions(base, image))


def _cache(name: str, run: Path) -> Path:
    return run / "worlds" / "cache" / name


def _video_data(worlds: str, run: Path) -> VideoData:
    folder = _cache(worlds, run)
    if not folder.is_dir():
        raise RequestError(f"{folder} is missing; the steps before this one fill it: {worlds}-pool and {worlds}-cache")
    base, cache = ModelFolder.found(BASE), VideoCache.opened(folder)
    tokenizer = base.part("tokenizer", CLIPTokenizer)
    text = base.network("text_encoder", CLIPTextModelWithProjection).requires_grad_(False)
    ids = torch.from_numpy(ids_of(tokenizer, cache.captions))
    return VideoData([cache], [ids], text, token_ids(tokenizer, [""])[0])


POOLS: dict[str, Callable[[Path], object]] = {
    f"{name}-{step}": partial(made, plan)
    for name, plan in PLANS.items()
    for step, made in (("pool", render_pool), ("cache", fill_cache))
}
"""What makes the worlds of a training and their conditions."""


def chores_of(system: str) -> dict[str, Callable[[Path], object]]:
    """What is done between the trainings of a system, by name."""
    names = [
        f"{worlds}-{step}" for worlds in dict.fromkeys(SYSTEMS[system].data.values()) for step in ("pool", "cache")
    ]
    return {name: POOLS[name] for name in names} | {f"{system}-export": partial(write_model, system)}


def order_of(system: str) -> tuple[str, ...]:
    """Every step of a system."""
    *before, last = chores_of(system)
    return (*before, *SYSTEMS[system].presets, last)
