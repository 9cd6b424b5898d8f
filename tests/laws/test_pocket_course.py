"""`recast train pocket`: its instalments follow each other, end in the shipped networks, and run in order."""

from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from safetensors import safe_open

from recast.data import renders
from recast.model.folder import ModelFolder
from recast.recipes.pocket import steps
from recast.recipes.pocket.presets import POCKET
from recast.recipes.pocket.steps import ASSETS, CACHES, CHORES, ORDER, POOLS
from recast.training.component_stages import AutoencoderStage, DepthStage, PairStage, PriorStage
from recast.training.preset import Preset
from recast.training.stages import GeneratorStage

OUTSIDE = {"pocket-decoder"}
"""Presets that no version is recorded to have used."""
AFTER = {name: preset.after.split(", ") for name, preset in POCKET.items()}


def test_what_comes_before_is_known_and_never_comes_after():
    assert {before for names in AFTER.values() for before in names} <= POCKET.keys() | CHORES.keys()
    assert list(TopologicalSorter(AFTER).static_order())  # raises CycleError where there is a circle
    for name, names in AFTER.items():
        assert name in OUTSIDE or all(ORDER.index(before) < ORDER.index(name) for before in names), name


def test_the_order_has_every_step_once():
    assert len(set(ORDER)) == len(ORDER)
    assert set(ORDER) == (POCKET.keys() | CHORES.keys()) - OUTSIDE
    assert POOLS.keys() | CACHES.keys() | {"pocket-prior"} == POCKET.keys()


def test_an_instalment_goes_on_with_the_same_component():
    for name, preset in POCKET.items():
        if preset.start:
            assert POCKET[preset.start].stage.component == preset.stage.component, name


def test_steps_of_the_generator_are_those_of_the_log():
    images = sum(POCKET[name].config.steps for name in ("pocket-images", "pocket-images-2"))
    clips = sum(POCKET[name].config.steps for name in CACHES if "video" in name)
    assert (images, clips) == (4_600, 23_618 - 4_600)


def test_every_preset_says_its_command():
    assert all(preset.command(name) == f"recast train {name} -o runs" for name, preset in POCKET.items())


@pytest.mark.parametrize("name", POCKET)
def test_every_network_can_be_built(name: str):
    assert any(weight.requires_grad for weight in steps.untrained(name, ASSETS).parameters())


@pytest.mark.parametrize(
    ("name", "part", "path"),
    [
        ("pocket-vae-3", "", "vae/diffusion_pytorch_model.safetensors"),
        ("pocket-clip-3", "image", "image_encoder/model.safetensors"),
        ("pocket-clip-3", "text", "text_encoder/model.safetensors"),
        ("pocket-depth-6", "", "depth_estimator/model.safetensors"),
        ("pocket-prior", "", "prior/diffusion_pytorch_model.safetensors"),
        ("pocket-video-5", "net.unet", "unet/diffusion_pytorch_model.safetensors"),
    ],
)
def test_a_course_ends_in_the_network_that_ships(name: str, part: str, path: str):
    network = steps.untrained(name, ASSETS).get_submodule(part)
    with safe_open(ASSETS / path, "pt") as shipped:
        shapes = {key: shipped.get_slice(key).get_shape() for key in shipped.keys()}  # noqa: SIM118 -- no mapping
    own = {key: list(weight.shape) for key, weight in network.state_dict().items()}
    assert {key: own.get(key) for key in shapes} == shapes


def short(preset: Preset) -> Preset:
    """One step on two or three rows."""
    config, stage = replace(preset.config, steps=1, warmup=0), preset.stage
    match stage:
        case GeneratorStage():
            batches = replace(stage.batches, images=2, clips=min(stage.batches.clips, 2))
            return replace(preset, config=config, stage=replace(stage, batches=batches))
        case PriorStage():
            return replace(preset, config=config, stage=replace(stage, captions=2))
        case AutoencoderStage() | DepthStage() | PairStage():
            return replace(preset, config=config, stage=replace(stage, images=2))
    raise AssertionError(stage)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a step of each of twenty trainings at their true size
def test_the_order_runs_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, preset in POCKET.items():
        monkeypatch.setitem(POCKET, name, short(preset))
    renders.render(tmp_path / "pool", tuple(replace(plan, clips=16, height=64, width=64) for plan in renders.PLANS))
    for name in ORDER:
        if name in CHORES:
            CHORES[name](tmp_path)
        else:
            steps.network(name, tmp_path)
            assert (tmp_path / name.removeprefix("pocket-") / "weights.safetensors").exists()
    assert len(list((tmp_path / "cache-3").glob("video-square-*"))) == 8
    assert ModelFolder.found(tmp_path / "model").metadata.short_side == 192
