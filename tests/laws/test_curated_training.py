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
from recast.training.objectives.autoencoder import reconstruction
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


@pytest.mark.parametrize(
    ("name", "values"),
    [("autoencoder", {"crop": 32}), ("depth", {})],
)
def test_autoencoder_and_depth_learn_from_shards(
    name: str, values: dict[str, int], model: Path, curated: Path, tmp_path
):
    start = ("--from", str(model)) if name == "autoencoder" else ()
    runs = [
        trained(name, tmp_path / str(steps), "--data", str(curated), *start, steps=steps, images=2, **values)
        for steps in (1, 2)
    ]
    assert runs[0].keys() == runs[1].keys()
    assert any(not torch.equal(runs[0][weight], runs[1][weight]) for weight in runs[0])
    assert all(weight.isfinite().all() for weight in runs[1].values())
