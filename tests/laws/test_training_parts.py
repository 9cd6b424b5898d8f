"""Losses of the depth estimator and of the content encoder, and the rendered clips that they learn from."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recast.data import renders
from recast.engine.loop import BatchShard, TrainConfig, fit
from recast.errors import RequestError
from recast.recipes.pocket.presets import POCKET_TOWERS
from recast.training.objectives import clip, depth
from recast.training.stages import Inputs
from recast.training.tokenizer import write_tokenizer
from small_presets import WIDTH, small


def test_scale_and_shift_are_forgiven_and_no_more():
    rng = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 8, 8, generator=rng)
    torch.testing.assert_close(depth.fitted(3 * truth - 1, truth), truth, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        depth.fitted(torch.ones_like(truth), truth), truth.mean((1, 2), keepdim=True).expand(2, 8, 8)
    )
    other = torch.rand(2, 8, 8, generator=rng)
    assert (depth.fitted(other, truth) - truth).square().mean() <= (
        truth - truth.mean((1, 2), keepdim=True)
    ).square().mean()


def test_contrast_needs_its_whole_batch():
    stage, inputs = small("pocket-clip")
    with pytest.raises(RequestError, match="cannot be split into 2 parts"):
        stage.loss(inputs)(stage.network(inputs), BatchShard(0, 0, 2))


@pytest.fixture(scope="module")
def small_pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    renders.render(folder, (renders.RenderPlan("small", 4, 64, 96, first_seed=77, frames=2),), workers=1)
    return folder / "small"


def test_a_pool_is_what_the_world_renders(small_pool: Path):
    from recast.world import rendered, sampled

    made = renders.RenderedDataset.opened(small_pool)
    clip_ = rendered(sampled(79), 2, 64, 96)
    assert len(made) == 4
    np.testing.assert_array_equal(made.frames[2], clip_.frames)
    np.testing.assert_array_equal(made.masks[2], clip_.masks)
    assert made.captions[2][0] == clip_.caption
    assert made.scenes[2]["seed"] == 79


@pytest.mark.parametrize("frames", [1, 3])
def test_the_depth_loss_falls_on_one_batch(small_pool: Path, tmp_path: Path, frames: int):
    loss = depth.distance([renders.RenderedDataset.opened(small_pool)], batch=2, frames=frames)
    network = depth.DepthConfig(channels=(8, 16, 16), over_time=frames > 1).network()
    before = loss(network, BatchShard(0)).item()
    trained = fit(network, lambda n, _: loss(n, BatchShard(0)), TrainConfig(steps=30, rate=5e-3, warmup=5), tmp_path)
    after = loss(trained, BatchShard(0)).item()
    assert after < 0.7 * before
    np.testing.assert_array_equal(depth.normalized(np.full((4, 4), 7.0)), np.zeros((4, 4)))


def test_a_pair_finds_its_captions_in_time(small_pool: Path, tmp_path: Path):
    made = renders.RenderedDataset.opened(small_pool)
    reader = Inputs(pools=[made], folder=tmp_path / "words").tokenizer(places=32, pieces=900)
    towers = replace(POCKET_TOWERS, width=WIDTH, image=(16, 1, 2), text=(16, 1, 2), side=32)
    loss, network = clip.contrastive([made], reader, side=32, batch=4), towers.network(reader)
    before = loss(network, BatchShard(0)).item()
    fit(
        network,
        lambda n, _: loss(n, BatchShard(0)),
        TrainConfig(steps=30, rate=1e-2, warmup=3, ema=0.5),
        tmp_path / "run",
    )
    assert loss(network, BatchShard(0)).item() < 0.7 * before


def test_the_tokenizer_reads_any_words(tmp_path: Path):
    reader = write_tokenizer(["a red dog in the snow", "a blue cat at night"] * 5, tmp_path)
    assert set(json.loads((tmp_path / "vocab.json").read_text())) >= {"a</w>", "z", "9</w>"}
    for text in ("a red dog", "zebra 42, fjord!"):
        assert reader.decode(reader(text)["input_ids"], skip_special_tokens=True).replace(" ", "") == text.replace(
            " ", ""
        )
