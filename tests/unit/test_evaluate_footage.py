"""Real clips and masked sequences: what is found in a folder, and what is measured of it."""

import pytest
import torch
from PIL import Image

import tiny_folder
from recast.editing.progress import no_progress
from recast.errors import MediaError
from recast.evaluation.items import EvalConfig, open_context
from recast.evaluation.metrics.fidelity import masked
from recast.evaluation.suite import Suite, evaluated, footage_tasks
from tiny_folder import clip_folder


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    return EvalConfig(str(tiny_folder.written(tmp_path_factory.mktemp("model"))), "cpu", ())


def test_footage_is_found_and_measured(setting, tmp_path):
    clip_folder(tmp_path / "frames" / "square" / "images", frames=3)
    _masks(tmp_path / "frames" / "square" / "masks", frames=3)
    (tmp_path / "frames" / "unmasked" / "images").mkdir(parents=True)
    (task,) = footage_tasks(tmp_path)
    assert task.name == "masks square"
    (outcome,) = evaluated(Suite(setting, (task,)), no_progress)
    assert outcome.figures.keys() == {"nearer", "nearest"}
    assert all(0 <= value <= 1 for value in outcome.figures.values())


def test_empty_masks_tell_nothing(setting, tmp_path):
    clip_folder(tmp_path / "images", frames=2)
    _masks(tmp_path / "masks", frames=2, side=0)
    assert masked(tmp_path, open_context(setting).model) == {}


def test_masks_of_other_pictures_tell_nothing(setting, tmp_path):
    clip_folder(tmp_path / "images", frames=1)
    _masks(tmp_path / "masks", frames=1)
    (mask,) = (tmp_path / "masks").iterdir()
    mask.rename(mask.with_stem("other"))
    assert masked(tmp_path, open_context(setting).model) == {}


def _masks(path, *, frames, side=16):
    path.mkdir(parents=True)
    for index in range(frames):
        mask = torch.zeros(40, 52, dtype=torch.uint8)
        mask[10 : 10 + side, 8 + 3 * index : 8 + 3 * index + side] = 255
        Image.fromarray(mask.numpy()).save(path / f"{index:03d}.png")


def test_no_footage_is_said_so(tmp_path):
    with pytest.raises(MediaError, match=r"clips/.*frames/"):
        footage_tasks(tmp_path)
