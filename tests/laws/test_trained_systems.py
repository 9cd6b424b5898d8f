"""VideoComposer: any subset of conditions; and what is kept and refused of the folders of trained systems."""

import json
from dataclasses import replace
from functools import cache
from shutil import rmtree

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from pipelines import opened
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.control import Control
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder
from recast.networks import storage
from recast.networks.condition_encoder import ConditionEncoder
from recast.networks.conditioned import CLIP, DEPTH, ENCODER, PICTURE
from recast.networks.spacetime import widen
from recast.recipes.systems import export
from recast.recipes.systems.presets import SYSTEM_PRESETS
from recast.training.objectives.conditioned import WORDS, VideoBatches, _kept
from space_time_clips import FRAMES, LATENTS, SIDE, conditioned, drawn, predicted
from space_time_folder import KINDS, WHAT, space_time, write_space_time


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Opens the tiny folder of a system, once."""
    return cache(lambda what: opened(write_space_time(tmp_path_factory.mktemp("model"), what)))


# VideoComposer


def test_a_dropped_condition_has_neither_influence_nor_gradient():
    network, kinds = space_time("composed").requires_grad_(True), list(KINDS)
    given = {kind: torch.rand(2, FRAMES, KINDS[kind], SIDE, SIDE) for kind in kinds}
    given[PICTURE] = drawn(2, 12)
    kept = {name: torch.tensor([1.0, 0.0]) for name in (*kinds, PICTURE)} | {"edges": torch.zeros(2)}
    noisy, level, tokens = drawn(2, *LATENTS), torch.tensor([300.0, 700.0]), drawn(2, 3, 16)
    maps = {name: value.requires_grad_() for name, value in given.items()}
    answer = network(noisy, level, tokens, empty=tokens[0], conditions=maps, kept=kept)
    answer.square().sum().backward()
    for name, value in maps.items():
        assert not value.grad[1].any()
        assert value.grad[0].any() == (name != "edges")
    encoder = network.parts[ENCODER]
    assert not any(weight.grad is not None and weight.grad.any() for weight in encoder.maps["edges"].parameters())
    assert all(weight.grad.any() for name, weight in encoder.maps["depth"].named_parameters() if "local" in name)
    fewer = {name: value for name, value in given.items() if name != "edges"}
    assert_close(network(noisy, level, tokens, empty=tokens[0], conditions=fewer, kept=kept), answer, rtol=0, atol=0)


@pytest.mark.parametrize("kinds", [[], ["depth"], ["motion", "edges"], ["depth", "edges", "motion"]])
def test_any_subset_of_conditions_is_told(backbones, kinds):
    """Maps that are not given are as if they were zero, and each that is given changes the answer."""
    backbone = backbones("composed")
    torch.manual_seed(1)
    whole = conditioned(backbone, KINDS)
    part = replace(whole, controls=tuple(each for each in whole.controls if each.kind in kinds))
    answer = predicted(backbone, part)
    silent = tuple(each if each.kind in kinds else replace(each, weight=0.0) for each in whole.controls)
    assert_close(predicted(backbone, replace(whole, controls=silent)), answer, rtol=0, atol=1e-6)
    for kind in kinds:
        fewer = replace(part, controls=tuple(each for each in part.controls if each.kind != kind))
        assert not torch.allclose(predicted(backbone, fewer), answer, atol=1e-4)


def test_the_backbone_answers_as_the_network_that_was_trained(backbones):
    """All conditions, as the training hands them over."""
    backbone, network = backbones("composed"), space_time("composed")
    torch.manual_seed(1)
    condition, x, sigma = conditioned(backbone, KINDS), drawn(*LATENTS), 1.5
    maps = {control.kind: control.pictures[None] for control in condition.controls}
    kept = {name: torch.ones(1) for name in maps}
    scaled = x / (1 + sigma**2) ** 0.5
    level = torch.tensor([float(backbone.schedule.sigma_to_timestep(sigma))])
    with torch.no_grad():
        velocity = network(
            scaled[None], level, condition.cond[None], empty=condition.uncond, conditions=maps, kept=kept
        )[0]
    clean = x / (1 + sigma**2) - sigma / (1 + sigma**2) ** 0.5 * velocity
    assert_close(predicted(backbone, condition, x), clean, rtol=0, atol=1e-5)


def test_conditions_are_encoded_over_time_where_frames_see_each_other(backbones):
    backbone = backbones("composed")
    torch.manual_seed(1)
    condition = conditioned(backbone, ["depth"])
    (control,) = condition.controls
    pictures = control.pictures.clone()
    pictures[4] = 1 - pictures[4]
    other = replace(condition, controls=(replace(control, pictures=pictures),))
    for temporal in (True, False):
        moved = predicted(backbone, other, temporal=temporal) - predicted(backbone, condition, temporal=temporal)
        assert moved[4].abs().max() > 1e-4
        assert (moved[0].abs().max() > 1e-6) == temporal


def test_a_picture_is_read_behind_the_words(backbones, tmp_path):
    backbone, file = backbones("composed"), tmp_path / "shown.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file)
    words, shown = ContentInput(Medium.WORDS, "snow"), ContentInput(Medium.PICTURE, str(file))
    both, alone = backbone.encode_content([words, shown]), backbone.encode_content([words])
    assert torch.equal(both[:-2], alone[:-2])
    assert not alone[-2:].any()
    assert both[-2:].any()
    assert torch.equal(backbone.encode_content([shown])[:-2], backbone.null_tokens()[:-2])


def test_a_condition_acts_in_its_range_and_others_are_refused(backbones):
    backbone = backbones("composed")
    torch.manual_seed(1)
    condition = conditioned(backbone, ["depth"])
    late = replace(condition, controls=(replace(condition.controls[0], sigmas=(0.0, 1.0)),))
    assert torch.equal(predicted(backbone, late), predicted(backbone, replace(condition, controls=())))
    pose = replace(condition, controls=(Control("pose", torch.zeros(FRAMES, 3, SIDE, SIDE)),))
    with pytest.raises(BackboneError, match="not trained with pose; it reads depth, edges, motion"):
        predicted(backbone, pose)


def test_conditions_are_dropped_as_often_as_asked():
    """VideoComposer's: all in .1, none in .1, else each with .5."""
    batches = SYSTEM_PRESETS["videocomposer-clips"].stage.batches
    reads, rng = ("depth", "edges", "motion", PICTURE), np.random.default_rng(0)
    kept = [_kept(rng, batches, reads) for _ in range(20_000)]
    for name in reads:
        assert np.mean([each[name] for each in kept]) == pytest.approx(0.1 + 0.8 * 0.5, abs=0.015)
    assert np.mean([each[WORDS] for each in kept]) == pytest.approx(0.1 + 0.8 * 0.9, abs=0.015)
    assert np.mean([not any(each.values()) for each in kept]) == pytest.approx(0.1 + 0.8 * 0.1 * 0.5**4, abs=0.01)
    always = _kept(rng, VideoBatches(all_drop_prob=1.0), (DEPTH, CLIP))
    assert always == {WORDS: 0.0, CLIP: 0.0, DEPTH: 1.0}


def test_an_encoder_starts_each_frame_by_itself():
    """The transformer over time of a new encoder changes nothing yet."""
    torch.manual_seed(0)
    encoder, maps = ConditionEncoder({"depth": 1}), torch.rand(1, 4, 1, 32, 32)
    over_time, alone = (encoder.maps["depth"](maps, over_time=way) for way in (True, False))
    assert_close(over_time, alone, rtol=0, atol=0)
    assert over_time.shape == (1, 4, 8, 4, 4)


# All of them


def test_a_network_of_another_encoder_is_refused(tmp_path):
    folder = write_space_time(tmp_path / "model", "composed")
    config = json.loads((folder / "condition_encoder" / "config.json").read_text())
    encoder = ConditionEncoder(config.pop("kinds"), **config | {"width": 6})
    rmtree(folder / "condition_encoder")
    export.write_part(encoder, folder / "condition_encoder")
    with pytest.raises(WeightsError, match="reads 8 channels and condition_encoder makes 6 beside four of latents"):
        opened(folder)


def test_input_channels_that_nothing_reads_are_refused(tmp_path):
    folder = write_space_time(tmp_path / "model", "words")
    net = storage.loaded(folder)
    widen(net.unet, 3)
    rmtree(folder / "unet")
    rmtree(folder / "temporal")
    storage.save(net, folder)
    with pytest.raises(WeightsError, match="reads 7 channels and there is no condition_encoder; without one"):
        opened(folder)


@pytest.mark.parametrize("what", WHAT)
def test_what_is_written_is_what_is_opened(what, tmp_path):
    """Every weight of the network, and whether frames see later ones."""
    folder, network = ModelFolder.found(write_space_time(tmp_path / "model", what)), space_time(what)
    read = storage.loaded(folder)
    assert read.causal == (what == "causal")
    assert all(map(torch.equal, read.state_dict().values(), network.net.state_dict().values()))


@pytest.mark.parametrize("what", WHAT)
def test_clips_from_words_alone_come_from_those_that_need_nothing_else(what, tmp_path, capsys):
    """What always reads depth says that a flat one may be had, what reads a clip that there is none."""
    folder = str(write_space_time(tmp_path / "model", what))
    asked = [
        "generate",
        "-p",
        "a red ball",
        "-m",
        folder,
        "--steps",
        "1",
        "--frames",
        "3",
        "--size",
        "32x32",
        "-q",
        "-o",
    ]
    code, answer = run([*asked, f"{tmp_path / 'made'}/"]), capsys.readouterr().err
    assert (code == 0) == (what in ("words", "composed", "poses")), answer
    if what in ("depth", "causal", "edited frame"):
        assert "flat_structure=true" in answer
        assert run([*asked, f"{tmp_path / 'flat'}/", "--set", "flat_structure=true"]) == 0
