"""`recast world` gives the world's own truth, and `recast compare` shows every clip."""

import json

import numpy as np
import pytest
from PIL import Image

import recast
from recast.cli.app import run
from recast.cli.compare import ROW_PX
from recast.cli.world import WISHES
from recast.world import as_filmed, rendered, sampled
from recast.world.sampling import KNOWN

SMALL = ("--size", "48x32", "--frames", "3", "-q")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(path):
    return recast.open_clip(path).frames.permute(0, 2, 3, 1).numpy()


def test_pictures_depth_and_masks_are_those_of_the_scene(here, capsys):
    wishes = ("--look", "neon", "--subject", "dog", "--subject", "car", "--colour", "red")
    asked = ("--seed", "3", *wishes, "-o", "shots", "--depth", "depth", "--masks", "masks")
    assert run(["world", *SMALL, *asked, "--json"]) == 0
    truth = rendered(sampled(3, look="neon", kinds=["dog", "car"], colours=["red"]), 3, 32, 48, stride_seconds=0.1)
    assert np.array_equal(pixels(here / "shots"), truth.frames)
    assert np.array_equal(pixels(here / "masks")[..., 0], 255 * (truth.masks > 0).astype(np.uint8))
    depth = pixels(here / "depth")[..., 0].astype(float)
    assert (depth.min(), depth.max()) == (0, 255)
    slope, offset = np.polyfit(truth.inverse_depth.ravel(), depth.ravel(), 1)
    assert slope > 0
    assert np.abs(slope * truth.inverse_depth + offset - depth).max() < 1
    assert json.loads(capsys.readouterr().out)["caption"] == truth.caption


def test_a_filmed_world_has_the_truth_of_one_that_is_not(here):
    for name, more in (("plain", ()), ("filmed", ("--filmed",))):
        assert run(["world", *SMALL, "-o", name, "--depth", f"{name}-depth", *more]) == 0
    truth = rendered(sampled(0), 3, 32, 48, stride_seconds=0.1)
    assert np.array_equal(pixels(here / "filmed"), as_filmed(truth).frames)
    assert not np.array_equal(pixels(here / "filmed"), pixels(here / "plain"))
    assert np.array_equal(pixels(here / "filmed-depth"), pixels(here / "plain-depth"))


def test_the_seed_draws_what_is_not_said(here):
    for target, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run(["world", *SMALL, "--seed", seed, "-o", target]) == 0
    assert np.array_equal(pixels(here / "a"), pixels(here / "b"))
    assert not np.array_equal(pixels(here / "a"), pixels(here / "c"))


def test_every_wish_is_one_that_the_world_knows():
    assert set(WISHES) == KNOWN.keys() - {"layout"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--look", "oils"), "look: 'oils' is not in the world; choose from plain,"),
        (("--size", "48"), "size is '48'; it should be WIDTHxHEIGHT"),
        (("--size", "48x"), "size is '48x'; it should be"),
        (("-o", "out.xyz"), "recast does not write .xyz"),
        (("--depth", "no/depth.mp4"), "there is no folder no"),
    ],
)
def test_what_cannot_be_rendered(here, capsys, more, message):
    assert run(["world", "-o", "out.mp4", *SMALL, *more]) == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not list(here.iterdir())


def test_a_sheet_has_a_row_for_each_clip(here, capsys):
    for target, size in (("wide", "64x16"), ("high", "16x32")):
        assert run(["world", "--size", size, "--frames", "3", "-q", "-o", target]) == 0
    assert run(["compare", "wide", "high", "--columns", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"output": "compare.png", "rows": ["wide", "high"]}
    with Image.open(here / "compare.png") as sheet:
        assert sheet.width > 2 * 4 * ROW_PX
        assert sheet.height > 2 * ROW_PX
    for more, message in (
        ((), "compare.png is already there"),
        (("-o", "sheet.jpg"), "a sheet is a PNG picture"),
        (("-o", "sheet.png", "--label", "one"), "there are 1 labels for 2 clips"),
    ):
        assert run(["compare", "wide", "high", *more]) == 2
        assert f"error: {message}" in capsys.readouterr().err
