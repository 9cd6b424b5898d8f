"""Recipes of trained systems: from worlds to a model that edits, resumed exactly, on tiny worlds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recast.cli.app import run
from recast.data.triplets import TripletDataset
from recast.data.video_cache import VideoCache
from recast.engine.config import BatchShard, TrainConfig
from recast.engine.loop import fit
from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.recipes import MODEL_RECIPES
from recast.recipes.systems import steps
from recast.recipes.systems.presets import PEOPLE, SYSTEM_PRESETS, SYSTEMS, TRIPLETS, WORLDS
from recast.training.run import train
from recast.training.stages import Inputs
from recast.world import rendered, sampled
from recast.world.instructions import CHANCES, INSTRUCTION_WORDS, changed, instruction
from recast.world.people import people_of
from recast.world.words import vocabulary
from small_presets import initial_network, small
from tiny_folder import clip_folder

SMALL = {"clips": 2, "height": 64, "width": 64, "frames": 3}
PLANS = [replace(plan, **SMALL) for plan in (TRIPLETS, WORLDS, PEOPLE)]
FEW = TrainConfig(steps=2, warmup=0, keep_every=1, precision="fp32")
QUICK = ("instruct-vid2vid-clips", "follow-your-pose-poses")
"""Of the trainings that are alike, those whose losses are followed by the fast tests."""
EDITS = {
    "instruct-vid2vid": ["-p", "make it night"],
    "videocomposer": ["-p", "a red dog", "--image", "picture.png", "--structure", "depth", "--structure", "motion:0.5"],
    "make-your-video": ["-p", "a red dog in the snow"],
    "ccedit": ["-p", "a red dog", "--image", "picture.png"],
    "follow-your-pose": ["-p", "a woman in red", "--structure", "pose", "--structure-from", "pose=poses.png"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run folder with small worlds and their caches, beside a clip and pictures."""
    folder = tmp_path_factory.mktemp("systems")
    for plan in PLANS:
        steps.render_pool(plan, folder)
        steps.fill_cache(plan, folder)
    clip_folder(folder / "clip", frames=3)
    for name in ("picture", "poses"):
        Image.fromarray(np.zeros((40, 52, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


def trained(system, runs):
    """Trains all of a system for two steps of one row, and writes its model."""
    for name, preset in SYSTEMS[system].presets.items():
        frames = min(preset.stage.batches.frames, 3)
        stage = replace(preset.stage, batches=replace(preset.stage.batches, clips=1, frames=frames))
        train(steps.open_system_run(name, replace(preset, stage=stage, config=FEW), runs))
    steps.write_model(system, runs)
    return runs / system / "model"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_trained_system_edits(system, runs, monkeypatch, capsys):
    """By the command of its row in the map, opened as what it was trained to read."""
    model = trained(system, runs)
    monkeypatch.chdir(runs)
    asked = ["-m", str(model), "--steps", "2", "--size", "64", "-o", f"{system}-out", "-q"]
    assert run(["edit", "clip", *EDITS[system], *asked]) == 0, capsys.readouterr().err
    assert len(list((runs / f"{system}-out").glob("*.png"))) == 3
    assert ModelFolder.found(model).metadata == SYSTEMS[system].facts
    assert set(INSTRUCTION_WORDS) <= ModelFolder.found(model).known_words


@pytest.mark.parametrize("name", SYSTEM_PRESETS)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(name, tmp_path):
    stage, inputs = small(name)
    config, loss = TrainConfig(steps=4, warmup=0, keep_every=2, precision="fp32"), stage.loss(inputs)

    def interrupted(network, share):
        if share.step == 3:
            raise RequestError("stopped")
        return loss(network, share)

    whole = fit(initial_network(stage, inputs), loss, config, tmp_path / "whole").state_dict()
    with pytest.raises(RequestError, match="stopped"):
        fit(initial_network(stage, inputs), interrupted, config, tmp_path / "halves")
    again = fit(initial_network(stage, inputs), loss, config, tmp_path / "halves").state_dict()
    assert all(torch.equal(weight, again[key]) for key, weight in whole.items())


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SYSTEM_PRESETS]
)
def test_the_loss_falls(name, tmp_path):
    """On two clips, in a few dozen steps; of an encoder of poses alone little can be learned over a random network."""
    stage, inputs = small(name)
    cache = inputs.video_data.caches[0]
    two = VideoCache(
        0.5 * cache.latents[:2], {key: value[:2] for key, value in cache.conditions.items()}, cache.captions[:2]
    )
    inputs = Inputs(video_data=replace(inputs.video_data, caches=[two], ids=[inputs.video_data.ids[0][:2]]))
    network, loss = initial_network(stage, inputs), stage.loss(inputs)

    def measured():
        with torch.no_grad():
            return sum(loss(network, BatchShard(10_000 + number)).mean.item() for number in range(6))

    before = measured()
    network = fit(network, loss, TrainConfig(steps=40, rate=4e-3, warmup=4, ema=0.8, precision="fp32"), tmp_path)
    assert measured() < (0.999 if name.endswith("poses") else 0.9) * before


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_steps_come_in_order(system):
    recipe, order = MODEL_RECIPES[system], MODEL_RECIPES[system].order
    assert set(order) == recipe.presets.keys() | recipe.chores.keys()
    for name, preset in recipe.presets.items():
        before = [each for each in preset.after.split(", ") if each not in (steps.BASE, steps.MOTION)]
        assert all(order.index(each) < order.index(name) for each in before)
        assert preset.command(name) == f"recast train {name} -o runs"
    assert order[-1] == f"{system}-export"


def test_what_is_missing_is_named(tmp_path):
    name = "ccedit-clips"
    preset = SYSTEM_PRESETS[name]
    with pytest.raises(RequestError, match=r"worlds is missing; the steps before this one fill it: worlds-pool and"):
        steps.open_system_run(name, preset, tmp_path)
    with pytest.raises(RequestError, match="reads what it needs from the folder of its run; leave out --data"):
        steps.open_system_run(name, preset, tmp_path, start="pocket")


def test_clips_that_are_too_short_are_refused():
    stage, inputs = small("make-your-video-clips")
    long = replace(stage, batches=replace(stage.batches, frames=9))
    with pytest.raises(RequestError, match="the stage wants clips of 9 frames and those of the run have 4"):
        long.loss(inputs)


def test_layers_over_time_begin_as_pockets_where_they_see_all_frames():
    stage = SYSTEM_PRESETS["ccedit-clips"].stage
    base = ModelFolder.found(steps.BASE)
    initial = steps.initial_network(stage, Inputs(start=base)).net.temporal_state_dict()
    held = steps.storage.loaded(ModelFolder.found(steps.MOTION)).temporal_state_dict()
    assert held.keys() < initial.keys()
    assert all(torch.equal(weight, initial[key]) for key, weight in held.items())


# Triplets and poses of worlds


def test_a_triplet_differs_where_its_instruction_says_so():
    """Bodies, camera and shapes are those of the clip: an edit of a colour leaves all depth as it was."""
    names = set()
    for number in range(40):
        rng = np.random.default_rng(number)
        scene = sampled(9_200_000 + number, look="plain", textured=0.2)
        other, name = changed(scene, rng)
        names.add(name)
        fields = [
            each
            for each in ("environment", "time", "weather", "look", "subjects")
            if getattr(scene, each) != getattr(other, each)
        ]
        assert fields == ["subjects" if name == "colour" else name]
        assert other.camera == scene.camera
        assert other.layout == scene.layout
        words = {*instruction(other, name, rng).replace(",", "").split()}
        assert words <= vocabulary() | set(INSTRUCTION_WORDS)
        if name == "colour":
            one, another = (rendered(each, 2, 48, 48) for each in (scene, other))
            assert np.array_equal(one.depth, another.depth)
            seen = one.masks == 1
            assert not seen.any() or (one.frames != another.frames)[seen].mean() > 0.3
    assert names == CHANCES.keys()


def test_triplets_are_the_same_each_time_and_lead_back_too(runs, tmp_path):
    plan = replace(TRIPLETS, **SMALL | {"clips": 5})
    steps.triplets.render_triplets(tmp_path, plan, workers=1)
    again = TripletDataset.opened(tmp_path / plan.name)
    first = TripletDataset.opened(runs / "worlds" / "pool" / plan.name)
    assert np.array_equal(again.frames[:2], first.frames)
    assert again.instructions[:2] == first.instructions
    rng = np.random.default_rng([plan.first_seed, 19])
    scene = sampled(plan.first_seed, **plan.wishes(rng))
    back = rendered(scene, 3, 64, 64).frames
    assert np.array_equal(again.frames[0, 1], back)
    assert not np.array_equal(again.frames[0, 0], back)


def test_a_cache_holds_what_was_seen(runs):
    cache = VideoCache.opened(runs / "worlds" / "cache" / "worlds")
    assert {name: cache.conditions[name].shape[2:] for name in ("depth", "edges", "motion", "picture")} == {
        "depth": (1, 64, 64),
        "edges": (1, 64, 64),
        "motion": (3, 64, 64),
        "picture": (128,),
    }
    assert cache.latents.shape == (2, 3, 4, 8, 8)
    assert cache.condition("depth", 0, slice(0, 2)).max() == 1
    clips = VideoCache.opened(runs / "worlds" / "cache" / "triplets")
    assert clips.conditions["clip"].shape == clips.latents.shape
    assert not np.array_equal(clips.conditions["clip"], clips.latents)


def test_joints_lie_on_their_person():
    """On pixels of its mask, where no other thing stands before it."""
    hit = []
    for seed in range(12):
        scene = sampled(9_300_000 + seed, kinds=("person",), num_subjects=1, framing=0.8)
        clip, people = rendered(scene, 3, 96, 96), people_of(scene, 3, 96, 96)
        for frame, points in enumerate(people):
            for column, row, seen in points[0]:
                inside = 0 <= round(row) < 96 and 0 <= round(column) < 96
                if seen and inside:
                    near = clip.masks[
                        frame, max(0, round(row) - 1) : round(row) + 2, max(0, round(column) - 1) : round(column) + 2
                    ]
                    hit.append(bool((near == 1).any()))
    assert np.mean(hit) > 0.97


def test_faces_that_look_away_are_not_seen():
    scene = sampled(9_300_000, kinds=("person",), num_subjects=1, framing=0.8)
    (subject,) = scene.subjects
    for heading, seen in ((0.0, 0.0), (np.pi, 1.0)):
        turned = replace(scene, subjects=(replace(subject, heading=heading),))
        assert {*people_of(turned)[3][0][:3, 2].tolist()} == {seen}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_map_and_the_page_have_its_command(system):
    root = Path(__file__).parents[2]
    field, page = ((root / "docs" / name).read_text() for name in ("field.md", "training.md"))
    assert f"`recast train {system} -o runs`" in field
    assert f"-m runs/{system}/model`" in field
    assert f"| `{system}` |" in page
