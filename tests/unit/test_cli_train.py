"""`recast train`: a preset from a model folder and caches to a model that edits, its cost, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recast.cli.app import run
from recast.cli.costs import Estimate
from recast.engine.precision import chosen_precision, matrix_rates
from recast.recipes import PRESETS
from tiny_folder import WIDTH, clip_folder, written

FEW = ("--set", "steps=3", "--set", "images=4", "--set", "clips=2", "--set", "frames=2", "--set", "accumulate=2")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of two frames, as a cache of worlds has them."""
    folder, rng = tmp_path_factory.mktemp("cache"), np.random.default_rng(0)
    shapes = {"latents": (6, 2, 4, 4, 4), "structure": (6, 2, 2, 4, 4, 4), "embeddings": (6, 2, WIDTH)}
    for name, shape in shapes.items():
        np.save(folder / f"{name}.npy", rng.standard_normal(shape).astype(np.float16))
    np.save(folder / "detail.npy", np.arange(1, 7).astype(np.float16))
    return folder


@pytest.fixture(scope="module")
def trained(model: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    asked = ("--data", str(cache), "--from", str(model), "-o", str(folder), "--device", "cpu", "-q")
    assert run(["train", "gen1-detail", *asked, *FEW]) == 0
    return folder


def test_a_trained_model_edits(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    source = tmp_path / "clip"
    clip_folder(source, frames=3)
    asked = ("-p", "a red ball", "-m", str(trained / "model"), "--set", "steps=2", "--device", "cpu", "-q")
    assert run(["edit", str(source), "-o", str(tmp_path / "out"), *asked]) == 0, capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_only_what_was_trained_has_changed(trained: Path, model: Path):
    for path in sorted(model.rglob("*.safetensors")):
        before, after = load_file(path), load_file(trained / "model" / path.relative_to(model))
        same = all(torch.equal(before[name], after[name]) for name in before)
        assert same == (path.parent.name not in {"unet", "temporal", "projection"}), path
    assert {path.suffix for path in (trained / "model").rglob("*.*")} <= {".json", ".safetensors", ".txt"}


def test_the_same_command_goes_on(
    model: Path, cache: Path, tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture
):
    asked = [
        "train",
        "gen1-detail",
        "--data",
        str(cache),
        "--from",
        str(model),
        "-o",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    assert run([*asked, *FEW]) == 0
    assert capsys.readouterr().err.startswith("gen1-detail: 3 steps, on this machine 0.00 h (1 x cpu, ")
    first, other = (load_file(folder / "weights.safetensors") for folder in (tmp_path, trained))
    assert all(torch.equal(first[name], other[name]) for name in first)
    assert run([*asked, *FEW]) == 0
    assert run([*asked, *FEW, "--set", "cond_drop_prob=0.5"]) == 2


def test_the_board_shows_how_well_the_device_is_used(trained: Path):
    events = EventAccumulator(str(trained / "board"))
    events.Reload()
    (point,) = events.Scalars("speed/mfu")
    assert 0 < point.value < 1


def test_presets_are_listed(capsys: pytest.CaptureFixture):
    assert run(["train"]) == 0
    output = capsys.readouterr().out
    assert all(name in output and preset.about in output for name, preset in PRESETS.items())
    assert run(["train", "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == PRESETS.keys()


def test_a_dry_run_says_what_it_takes(capsys: pytest.CaptureFixture):
    assert run(["train", "pocket-vae", "--dry-run", "--set", "steps=500", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["steps"] == 500
    assert output["seen"] == {"images": 16_000}
    assert output["flops"] == pytest.approx(16_000 * output["rows"]["images"]["flops"])
    assert output["this_machine"]["hours"] > 0
    assert run(["train", "pocket-vae", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "computed" in shown
    assert "on this machine" in shown
    assert all(word in shown for word in ("steps", "memory", "FLOPs", "hours", "seen", "weights"))


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_an_estimate_is_flops_over_the_used_share_of_the_rate_of_its_precision(precision: str):
    preset = PRESETS["pocket-vae"]
    preset = replace(preset, config=replace(preset.config, precision=precision))
    rates = matrix_rates("cpu")
    here = Estimate.of(preset, 1e15, device="cpu", processes=2)
    assert here.rates == rates
    assert here.precision == (chosen_precision(rates) if precision == "auto" else precision)
    assert here.hours * 3600 * rates[here.precision] * preset.hardware.use == pytest.approx(1e15)
    assert f"h (2 x cpu, {here.precision} at " in str(here)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gen2",), "no preset is called 'gen2'; known: gen1-images,"),
        (("gen1-images",), "nothing says where checkpoints and the model should go; say -o RUN"),
        (("gen1-images", "-o", "run"), "this stage learns from examples; say --data"),
        (("gen1-images", "-o", "run", "--data", "."), ". holds no shards (manifest.parquet), caches"),
        (("gen1-images", "-o", "run", "--set", "speed=9"), "the preset has no setting 'speed'; it has accumulate,"),
        (("gen1-images", "-o", "run", "--set", "steps"), "--set 'steps' sets nothing; write it as NAME=VALUE"),
        (("gen1-images", "-o", "run", "--set", "steps=many"), "steps is 'many'; it should be of the kind of 15000"),
        (("gen1-images", "-o", "run", "--set", "steps=0"), "steps, keep_every and accumulate are at least 1"),
        (("gen1-images", "-o", "run", "--from", "nowhere"), "'nowhere' is neither a known model nor a folder"),
        (("pocket-vae", "-o", "run", "--from", "pocket"), "pocket-vae reads what it needs from the folder of its run"),
        (("pocket-pool", "--dry-run"), "pocket-pool trains no network of its own"),
        (("pocket", "--dry-run", "--set", "steps=3"), "pocket takes no --set: its steps say all"),
        (("pocket-words", "-o", "run", "--data", "."), "pocket-words takes no --data"),
        (("pocket", "-o", "run", "--nproc", "2"), "pocket runs in one process on the processor"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
):
    monkeypatch.chdir(tmp_path)
    assert run(["train", *arguments]) in {2, 3}
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
