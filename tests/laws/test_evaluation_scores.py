"""Scores and goals: bounds against intervals, what doing nothing wins, what the eye sees."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recast.evaluation.cases.worlds import CHANGES, attributes_of, case
from recast.evaluation.intervals import Figure, difference, mean, reaches
from recast.evaluation.items import EvalConfig, open_context
from recast.evaluation.metrics.appearance import distance, sharpness
from recast.evaluation.metrics.cost import counted
from recast.evaluation.metrics.joint import OUTLINE_KEPT, STEADY_KEPT, Bars, joint
from recast.evaluation.metrics.prompt import prompt_consistency
from recast.evaluation.trials import AskedEdit, floors, frames_of
from recast.world import rendered


def seeded(*seed):
    return np.random.default_rng(seed)


EDGES = st.floats(-1, 1)


@given(EDGES, EDGES, EDGES)
def test_a_goal_is_met_or_missed_only_beyond_the_interval(one, other, bound):
    figure = Figure((one + other) / 2, min(one, other), max(one, other), 9)
    answer = reaches(figure, bound)
    assert answer == ("met" if figure.low >= bound else "missed" if figure.high < bound else "open")
    mirrored = Figure(-figure.value, -figure.high, -figure.low, 9)
    assert reaches(mirrored, -bound, at_most=True) == answer


def test_a_difference_is_of_pairs():
    values = list(seeded(8).normal(0, 5, 20))
    apart = difference([value + 0.1 for value in values], values, seeded(9))
    assert (apart.low, apart.value, apart.high) == pytest.approx((0.1, 0.1, 0.1))
    assert mean(values, seeded(9)).high - mean(values, seeded(9)).low > 1


@pytest.fixture(scope="module")
def asked():
    """A few worlds with the real judge and the shipped model's encoders, small and short."""
    context = open_context(EvalConfig("pocket", "cpu", ()))
    cases = [case(number, side=128, num_frames=3) for number in range(1000, 1003)]
    return [AskedEdit(each, frames_of(each.source), frames_of(rendered(each.truth, 3)), context) for each in cases]


def test_doing_nothing_never_wins_and_the_own_render_does(asked):
    for each in asked:
        source, truth = each.measured(each.source), each.measured(each.truth)
        bars = Bars.of(source, truth)
        shown = {"source": each.source} | floors(each.source, each.case.number)
        assert {name: each.measured(frames, bars)["joint"] for name, frames in shown.items()} == dict.fromkeys(shown, 0)
        assert each.score(truth, bars) == {"joint": 1}


def test_a_joint_score_needs_each_of_its_parts():
    right = {"look": 1.0, "colour": 1.0, "outline": 0.8 * OUTLINE_KEPT, "frames": 0.9 * STEADY_KEPT}
    bars = Bars.of({"frames": 0.95}, {"outline": 0.8, "frames": 0.9})
    assert joint(right, ("look", "colour"), bars) == 1
    for name, value in right.items():
        assert joint(right | {name: value - 0.01}, ("look", "colour"), bars) == 0
    assert joint(right | {"colour": 0.0}, ("look",), bars) == 1


@pytest.mark.parametrize("kind", ["place", "colour"])
def test_a_place_or_colour_case_changes_that_alone(kind):
    for number in range(1000, 1006):
        asked = case(number, side=32, num_frames=1, kind=kind)
        before, after = attributes_of(asked.source.scene), attributes_of(asked.truth)
        assert tuple(name for name in before if before[name] != after[name]) == CHANGES[kind]
        assert asked.is_change
        truth, kept = rendered(asked.truth, 1, 32, 32), torch.from_numpy(asked.kept)
        assert 0.02 <= kept.float().mean() < 1
        if kind == "colour":
            # What lies outside the subject is the same but for shadow and reflected light.
            outside = distance(frames_of(truth), frames_of(asked.source), kept)
            assert outside < distance(frames_of(truth), frames_of(asked.source), ~kept)


def test_sharpness_is_the_slope_of_a_ramp_and_falls_with_blur():
    ramp = (3 * torch.arange(20)).to(torch.uint8).expand(2, 3, 10, 20)
    assert sharpness(ramp) == pytest.approx(3, abs=1e-4)
    assert sharpness(ramp.mT) == pytest.approx(3, abs=1e-4)
    assert sharpness(torch.full((1, 3, 8, 8), 77, dtype=torch.uint8)) == 0
    noise = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    blurred = torch.nn.functional.avg_pool2d(noise.float(), 3, 1, 1).to(torch.uint8)
    assert sharpness(blurred) < 0.5 * sharpness(noise)


@given(st.integers(1, 100))
def test_distance_of_a_known_change(change):
    frames = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    half = torch.zeros(2, 4, 4, dtype=torch.bool)
    half[:, :2] = True
    other = frames.clone()
    other[:, :, :2] += change
    assert distance(frames, other) == distance(other, frames) == pytest.approx(change / 2)
    assert distance(frames, other, half) == pytest.approx(change)
    assert distance(frames, other, ~half) == 0


def test_prompt_consistency_is_a_mean_cosine():
    words = torch.tensor([3.0, 0.0])
    assert prompt_consistency(words, torch.tensor([[1.0, 0.0], [0.0, 5.0]])) == pytest.approx(0.5)
    assert prompt_consistency(words, -words[None]) == pytest.approx(-1)


def test_counting_changes_no_answer_and_leaves_no_trace(asked):
    backbone = asked[0].context.model.backbone
    counting, evaluations = counted(backbone)
    assert type(counting) is type(backbone)
    assert counting.sigmas(3) == backbone.sigmas(3)
    assert "denoise_branches" not in vars(backbone)
    assert evaluations.count == 0
