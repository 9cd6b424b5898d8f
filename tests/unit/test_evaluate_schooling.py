"""What the judge learns from, and that it learns from all of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as st

from recast.engine.config import BatchShard
from recast.evaluation.judge.augment import augment, compressed, defocused, shrunk
from recast.evaluation.judge.dataset import DECODED, NOTHING, UNTOLD, blank, blurred, outlined, scene, spoiled, taught
from recast.evaluation.judge.train import BATCH, SMALLEST_SUBJECT, graded, initial_judge, judge_loss, sheet
from recast.world.words import COLOURS, LOOKS

SKETCH = tuple(LOOKS).index("pencil sketch")


@pytest.fixture(scope="module")
def lessons():
    return [taught(range(start, start + 12), side=32) for start in (0, 12)]


@pytest.fixture(scope="module")
def spoilt():
    return spoiled(range(24), side=32)


def drawn(lessons, *seed):
    return sheet(lessons, [np.random.default_rng([*seed, row]) for row in range(BATCH)])


def test_a_sheet_asks_only_for_what_shows(lessons):
    asked = drawn(lessons, 0)
    assert asked.pictures.shape == (BATCH, 3, 32, 32)
    assert asked.pictures.abs().max() <= 1
    known = asked.colour != UNTOLD
    assert known.any()
    assert (asked.subject.sum(dim=(1, 2, 3))[known] >= SMALLEST_SUBJECT).all()
    assert not (known & (asked.look == SKETCH)).any()


def test_points_lie_on_their_subject_or_on_none(lessons):
    asked = drawn(lessons, 1)
    places = rearrange(asked.spots[:, :1], "b 1 h w -> b (h w)").argmax(dim=1, keepdim=True)
    under = rearrange(asked.subject, "b 1 h w -> b (h w)").gather(1, places)[:, 0]
    assert torch.equal(under > 0, asked.subject.amax(dim=(1, 2, 3)) > 0)
    assert 0 < under.mean() < 1


def test_lessons_are_the_same_whenever_they_are_taught(lessons):
    again = taught([5], side=32)
    assert np.array_equal(again.pictures[0], lessons[0].pictures[5])
    assert again.colours.tolist() == lessons[0].colours[5:6].tolist()


def test_one_of_some_lessons_is_decoded(lessons):
    inverted = taught(range(12), lambda pictures, _: 255 - pictures, side=32)
    for number in range(12):
        there, here = inverted.pictures[number], lessons[0].pictures[number]
        assert np.array_equal(there, 255 - here if number % DECODED == 0 else here)


def test_colours_are_those_of_the_scene(lessons):
    for number in range(12):
        named = [tuple(COLOURS)[place] for place in lessons[0].colours[number] if place != UNTOLD]
        assert set(named) <= {subject.colour for subject in scene(number).subjects}


def test_every_weight_learns(lessons):
    network = initial_judge(0)
    torch.stack(list(graded(network, drawn(lessons, 2)))).sum().backward()
    assert not [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]


def test_a_step_asks_the_same_whenever_it_is_taken(lessons):
    loss = judge_loss(lessons)
    assert torch.equal(loss(initial_judge(0), BatchShard(5)), loss(initial_judge(0), BatchShard(5)))
    assert not torch.equal(loss(initial_judge(0), BatchShard(5)), loss(initial_judge(0), BatchShard(6)))


def test_a_batch_in_parts_is_the_same_batch(lessons, spoilt):
    loss, network = judge_loss([*lessons, spoilt]), initial_judge(0)
    with torch.no_grad():
        whole, parts = loss(network, BatchShard(5)), [loss(network, BatchShard(5, part, 4)) for part in range(4)]
    assert torch.stack(parts).mean().item() == pytest.approx(whole.item(), rel=1e-5)


@given(st.integers(0, 10_000))
def test_wear_keeps_size_and_range(seed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    for way in (defocused, shrunk, compressed):
        assert way(picture, rng).shape == picture.shape
    shown = augment(picture, rng)
    assert shown.shape == picture.shape
    assert np.abs(shown).max() <= 1


def test_a_plain_picture_stays_about_as_it_is():
    grey = np.full((32, 32, 3), 128, np.uint8)
    for way in (defocused, shrunk, compressed):
        assert np.abs(way(grey, np.random.default_rng(3)).astype(int) - 128).max() <= 2


@pytest.mark.parametrize("radius", [6, 12, 20])
def test_a_round_outline_is_drawn_in_and_is_gone_when_its_middle_has_half_of_its_light(radius):
    rows, columns = np.mgrid[-64:65, -64:65]
    mask = rows**2 + columns**2 <= radius**2
    last = radius / math.sqrt(2 * math.log(2))  # 1 - exp(-r^2 / 2 s^2) = 1/2
    areas = [outlined(mask, softness).sum() for softness in (0, 0.5 * last, 0.8 * last, 0.95 * last)]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] == mask.sum()
    assert areas[-1] > 0
    assert not outlined(mask, 1.05 * last).any()
    assert not outlined(mask, NOTHING).any()


def test_a_mild_blur_leaves_the_outline():
    mask = np.zeros((64, 64), bool)
    mask[16:48, 20:44] = True
    kept = outlined(mask, 2.0)
    assert (kept & mask).sum() / (kept | mask).sum() > 0.97


def test_spoiled_lessons_are_pointed_at_as_others_are_and_tell_no_words(lessons, spoilt):
    assert np.array_equal(spoilt.masks, np.concatenate([each.masks for each in lessons]))
    for words in (spoilt.environment, spoilt.look, spoilt.colours):
        assert (words == UNTOLD).all()
    with torch.no_grad():
        environment, look, colour, outline = graded(initial_judge(0), drawn([spoilt], 3))
    assert environment == look == colour == 0
    assert outline > 0


def test_spoiled_lessons_ask_for_what_they_show(spoilt):
    shown, nothing = np.isfinite(spoilt.softness), spoilt.softness == NOTHING
    assert shown.any()
    assert nothing.any()
    asked = drawn([replace(spoilt, softness=np.full_like(spoilt.softness, NOTHING))], 4)
    assert not asked.subject.any()
    assert drawn([replace(spoilt, softness=np.zeros_like(spoilt.softness))], 4).subject.any()


def test_soft_lessons_are_blurred_as_much_as_they_say(lessons, spoilt):
    sharp = np.concatenate([each.pictures for each in lessons])
    for number in np.flatnonzero(np.isfinite(spoilt.softness)):
        assert np.array_equal(spoilt.pictures[number], blurred(sharp[number], float(spoilt.softness[number])))


def test_blanks_are_of_one_colour_or_of_any_scale():
    pictures = [blank(64, np.random.default_rng([5, number])).astype(float) for number in range(60)]
    roughness = np.array([np.abs(np.diff(picture, axis=1)).mean() / max(1, np.ptp(picture)) for picture in pictures])
    assert np.isin([0.0], roughness)
    assert (roughness > 0.2).any()  # single pixels
    assert ((roughness > 0) & (roughness < 0.03)).any()  # a gradient
