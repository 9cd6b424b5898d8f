"""The judge that comes with the package: what it is worth on worlds that it never saw."""

import numpy as np
import pytest
import torch

from recast.errors import WeightsError
from recast.evaluation.accuracy import accuracy
from recast.evaluation.judge import WEIGHTS, Judge
from recast.evaluation.schooling import BATCH, SMALLEST_SUBJECT, UNTOLD, begun, graded, lesson, schooled
from recast.evaluation.worlds import case
from recast.training.loop import Share
from recast.training.pool import Plan, Pool, render
from recast.world import rendered
from recast.world.words import LOOKS

LARGEST = 400_000
"""Bytes that the judge may take."""


@pytest.fixture(scope="module")
def judge():
    return Judge.opened()


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    render(folder, (Plan("few", 6, 32, 32, first_seed=10_500_000, frames=2),), workers=1)
    return Pool.opened(folder / "few")


@pytest.fixture(scope="module")
def clips(pool):
    return [(pool, clip) for clip in range(len(pool))]


def test_it_is_small():
    assert WEIGHTS.stat().st_size < LARGEST


def test_it_sees_what_true_renders_show(judge):
    told = [_truth_seen(judge, number) for number in range(900, 912)]
    for name, least in {"environment": 0.6, "look": 0.7, "colour": 0.6, "outline": 0.6}.items():
        assert np.mean([each[name] for each in told if name in each]) >= least


def _truth_seen(judge, number):
    asked = case(number, side=128, num_frames=1)
    frames = torch.from_numpy(rendered(asked.truth, 1).frames).permute(0, 3, 1, 2).contiguous()
    return accuracy(frames, asked, judge)


def test_it_looks_at_frames_of_any_size(judge):
    frames = torch.randint(0, 256, (3, 3, 40, 52), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    assert judge(frames).subject.shape == (3, 40, 52)


def test_a_damaged_judge_is_refused(tmp_path):
    broken = tmp_path / "model.safetensors"
    with pytest.raises(WeightsError, match="judge"):
        Judge.opened(broken)
    broken.write_bytes(WEIGHTS.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="judge"):
        Judge.opened(broken)


def test_lessons_ask_only_for_what_shows(clips):
    drawn = lesson(clips, np.random.default_rng(0), lambda pictures: pictures)
    assert drawn.pictures.shape == (BATCH, 3, 32, 32)
    assert drawn.pictures.abs().max() <= 1
    assert ((drawn.one == 1) <= (drawn.subject == 1)).all()
    asked = drawn.colour != UNTOLD
    assert (drawn.one.sum(dim=(1, 2, 3))[asked] >= SMALLEST_SUBJECT).all()
    assert not (asked & (drawn.look == tuple(LOOKS).index("pencil sketch"))).any()


def test_every_weight_learns(clips):
    network = begun(0)
    torch.stack(
        list(graded(network, lesson(clips, np.random.default_rng(1), lambda pictures: pictures)))
    ).sum().backward()
    assert not [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]


def test_a_step_asks_the_same_whenever_it_is_taken(pool):
    loss = schooled([pool])
    assert torch.equal(loss(begun(0), Share(5)), loss(begun(0), Share(5)))
    assert not torch.equal(loss(begun(0), Share(5)), loss(begun(0), Share(6)))
