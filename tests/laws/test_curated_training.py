"""What is curated can be trained on: worlds to shards, shards to a model, a model to an edit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recast.cli.app import run
from recast.data import shards
from recast.data.shard_pictures import ShardPictures
from recast.errors import RequestError
from recast.training import export
from recast.training.objectives.autoencoder import reconstruction
from recast.training.objectives.depth import DepthConfig
from tiny_folder import clip_folder, written

SIDE, FRAMES = 64, 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def curated(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curated") / "shards"
    asked = ("--frames", str(FRAMES), "--buckets", f"{SIDE}x{SIDE}", "--pictures", "png", "-m", str(model))
    assert run(["curate", "world:2", "-o", str(folder), *asked, "--true-depth", "-j", "1", "-q"]) == 0
    return folder


def trained(name: str, folder: Path, *asked: str, **values: int) -> dict[str, torch.Tensor]:
    settings = [word for setting, value in values.items() for word in ("--set", f"{setting}={value}")]
    assert run(["train", name, "-o", str(folder), "--device", "cpu", "-q", *asked, *settings]) == 0
    return load_file(folder / "weights.safetensors")


def test_worlds_become_shards_a_model_and_an_edit(model: Path, curated: Path, tmp_path: Path):
    few = {"steps": 3, "images": 2, "clips": 2, "frames": FRAMES, "accumulate": 1}
    trained("gen1-detail", tmp_path / "run", "--data", str(curated), "--from", str(model), **few)
    source, made = tmp_path / "clip", tmp_path / "made"
    clip_folder(source, frames=3)
    asked = ("-p", "a red ball", "-m", str(tmp_path / "run/model"), "--set", "steps=2", "--device", "cpu", "-q")
    assert run(["edit", str(source), "-o", str(made), *asked]) == 0
    assert len(list(made.glob("*.png"))) == 3


def test_shards_show_what_they_hold(curated: Path):
    (bucket,) = shards.opened(curated)
    shown = ShardPictures(bucket)
    assert (len(shown), shown.shape) == (2, (FRAMES, SIDE, SIDE))
    for clip in range(2):
        frames, depth = bucket.shown(clip), bucket.depth(clip)
        for frame in range(FRAMES):
            assert np.array_equal(shown.picture(clip, frame), frames[frame].permute(1, 2, 0).numpy())
            assert np.array_equal(shown.depth(clip, frame), depth[frame, 0].numpy())
            assert not shown.things(clip, frame).any()
    with pytest.raises(RequestError, match=f"pictures have a side of {SIDE} px, and crops of 72 are asked for"):
        reconstruction([shown], crop=72)


@pytest.fixture
def estimator(tmp_path: Path) -> Path:
    """A model folder with a small depth estimator of the kind that recast trains; the preset's own is large."""
    export.publish(DepthConfig(channels=(8, 8), groups=4).network(), "depth_estimator", tmp_path / "estimator")
    return tmp_path / "estimator"


@pytest.mark.parametrize(
    ("name", "start", "component", "values"),
    [("autoencoder", "model", "vae", {"crop": 32}), ("depth", "estimator", "depth_estimator", {})],
)
def test_autoencoder_and_depth_learn_from_shards(  # noqa: PLR0917
    name: str, start: str, component: str, values: dict[str, int], curated: Path, tmp_path, request
):
    folder = request.getfixturevalue(start)
    asked = ("--data", str(curated), "--from", str(folder))
    learned = trained(name, tmp_path / "run", *asked, steps=2, images=2, **values)
    (before,) = (folder / component).glob("*.safetensors")
    initial = load_file(before)
    assert learned.keys() == initial.keys()
    assert any(not torch.equal(learned[weight], initial[weight]) for weight in initial)
    assert all(weight.isfinite().all() for weight in learned.values())
