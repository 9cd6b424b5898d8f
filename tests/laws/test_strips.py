"""A generator's strip: what it shows, the same at each look, and that looking changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_run import flat, recipe

from recast.backbones.tiny import tiny_vae
from recast.engine.monitor import StepStats
from recast.recipes import PRESETS
from recast.training.run import TrainingRun, train
from small_presets import small


def opened(name: str, folder: Path) -> TrainingRun:
    stage, inputs = small(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = tiny_vae()
    preset = replace(PRESETS[name], stage=stage, config=recipe(steps=2, keep_every=1))
    return TrainingRun(preset, replace(inputs, vae=vae), folder)


@pytest.mark.parametrize(("name", "shown"), [("gen1-images", 3), ("gen1-detail", 6)])
def test_looking_at_samples_changes_nothing(name: str, shown: int, tmp_path: Path):
    seen: list[StepStats] = []
    alone = train(opened(name, tmp_path / "alone"))
    watched = train(opened(name, tmp_path / "watched"), monitor=seen.append)
    assert torch.equal(flat(alone), flat(watched))
    first, last = (each.samples_image for each in seen if each.samples_image is not None)
    assert first is not None
    assert last is not None
    assert first.shape == (3, 2 * 64, shown * 64)
    sources, made = zip(first.split(64, dim=1), last.split(64, dim=1), strict=True)
    assert torch.equal(*sources)
    assert not torch.equal(*made)
    strip = opened(name, tmp_path).samples()
    assert strip is not None
    with torch.no_grad():
        assert torch.equal(strip(watched), last)
