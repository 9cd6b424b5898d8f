"""Measures against closed forms: identical frames, known shifts, known masks, intervals from the literature."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recast.data.renders import PLANS
from recast.evaluation import METRICS
from recast.evaluation.cases.worlds import FIRST_SEED, TRIES, case
from recast.evaluation.figures import RATIOS
from recast.evaluation.goals import GOALS, TRENDS
from recast.evaluation.intervals import mean, ratio, share
from recast.evaluation.judge.dataset import FIRST_LESSON_SEED
from recast.evaluation.judge.train import COUNT
from recast.evaluation.metrics.accuracy import deepest, overlap, pointed
from recast.evaluation.metrics.consistency import followed, neighbours, warp_error
from recast.evaluation.metrics.fidelity import correlation, nearness, psnr, surroundings
from recast.world import rendered, sampled


def seeded(*seed: int) -> np.random.Generator:
    return np.random.default_rng([*seed, 1])


# Newcombe 1998, Statistics in Medicine 17, table I, method 3.
@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(right, count, low, high):
    figure = share(right, count)
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 500), st.data())
def test_a_share_and_its_complement_mirror_each_other(count, data):
    right = data.draw(st.integers(0, count))
    here, there = share(right, count), share(count - right, count)
    assert (here.low, here.high) == pytest.approx((1 - there.high, 1 - there.low))
    assert 0 <= here.low <= here.value + 1e-12
    assert here.value - 1e-12 <= here.high <= 1


def test_the_bootstrap_agrees_with_the_normal_interval_where_that_holds():
    values = seeded(2).normal(3, 2, 400)
    figure, reach = mean(list(values), seeded(3)), 1.96 * values.std() / math.sqrt(400)
    assert (figure.low, figure.high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.05)


def test_what_never_varies_has_no_interval():
    assert mean([0.25] * 7, seeded(4)).low == mean([0.25] * 7, seeded(4)).high == 0.25
    # Paired: whatever is drawn, above is twice below.
    below = list(seeded(5).uniform(1, 2, 30))
    figure = ratio([2 * value for value in below], below, seeded(6))
    assert (figure.low, figure.value, figure.high) == pytest.approx((2, 2, 2))


def test_identical_frames_agree_and_opposite_ones_disagree():
    vector = torch.randn(1, 12, generator=torch.Generator().manual_seed(0))
    assert neighbours(vector.repeat(4, 1)) == pytest.approx(1)
    assert neighbours(torch.cat([vector, -vector, vector])) == pytest.approx(-1)
    assert neighbours(torch.eye(5)) == 0


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, 2), (-1, 2)])
def test_a_known_shift_leaves_no_warp_error(right, down):
    wide = torch.rand(1, 3, 24, 30, generator=torch.Generator().manual_seed(1)).expand(4, -1, -1, -1)
    frames = torch.stack([torch.roll(frame, (i * down, i * right), (-2, -1)) for i, frame in enumerate(wide)])
    flow = torch.tensor([right, down], dtype=torch.float32).expand(4, 24, 30, 2)
    inner = torch.zeros(4, 24, 30, dtype=torch.bool)
    inner[:, 4:-4, 4:-4] = True
    assert warp_error(frames, flow, inner) == pytest.approx(0, abs=1e-10)
    assert warp_error(frames, torch.zeros_like(flow), inner) > 0.05


def test_a_uniform_change_is_its_own_square():
    frames = torch.stack([torch.full((3, 8, 8), value) for value in (0.2, 0.5, 0.8)])
    everywhere = torch.ones(3, 8, 8, dtype=torch.bool)
    assert warp_error(frames, torch.zeros(3, 8, 8, 2), everywhere) == pytest.approx(0.09)


def test_the_true_flow_of_a_world_explains_its_frames():
    clip = rendered(sampled(FIRST_SEED, look="flat cartoon", move="pan", weather="sun", time="day", num_subjects=1), 4)
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2) / 255
    seen, flow = followed(clip), torch.from_numpy(clip.flow)
    assert 0.5 < seen[:-1].float().mean() < 1
    assert not seen[-1].any()
    assert warp_error(frames, flow, seen) < 0.5 * warp_error(frames, torch.zeros_like(flow), seen)


def test_a_clip_that_stands_still_has_no_warp_error():
    scene = sampled(FIRST_SEED + 1, look="plain")
    clip = rendered(scene, 3, 48, 48)
    still = replace(clip, **{name: np.stack([getattr(clip, name)[0]] * 3) for name in ("frames", "depth", "masks")})
    still = replace(still, flow=np.zeros_like(clip.flow))
    frames = torch.from_numpy(still.frames).permute(0, 3, 1, 2) / 255
    assert followed(still)[:-1].all()
    assert warp_error(frames, torch.from_numpy(still.flow), followed(still)) == pytest.approx(0, abs=1e-9)


def test_what_is_mixed_of_two_surfaces_is_not_followed():
    clip = rendered(sampled(FIRST_SEED), 2, 32, 32)
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[:, :, 16:] = 1
    flat = replace(clip, masks=masks, depth=np.ones_like(clip.depth), flow=np.full_like(clip.flow, (0.5, 0)))
    seen = followed(flat)[0]
    # Between columns 15 and 16 half of each is brought back.
    assert not seen[:, 15].any()
    assert seen[:, [*range(15), *range(16, 31)]].all()


def test_nothing_is_followed_out_of_the_frame():
    clip = rendered(sampled(FIRST_SEED), 3, 32, 32)
    assert not followed(replace(clip, flow=np.full_like(clip.flow, 40))).any()


@given(st.integers(1, 7), st.integers(0, 3))
def test_a_shifted_mask_overlaps_less_and_less(width, shift):
    mask = torch.zeros(1, 4, 16, dtype=torch.bool)
    mask[..., :width] = True
    common = max(0, width - shift)
    assert overlap(mask, mask.roll(shift, -1)) == pytest.approx(common / (2 * width - common))


def test_a_point_lies_as_deep_inside_as_can_be():
    masks = torch.zeros(2, 20, 40, dtype=torch.bool)
    masks[0, 5:10, 10:15] = True
    masks[1, 2:17, 20:35] = True
    masks[1, 2:4, :20] = True  # an arm does not draw it away
    assert pointed(masks).tolist() == [pytest.approx([7.5 / 20, 12.5 / 40]), pytest.approx([9.5 / 20, 27.5 / 40])]
    assert deepest(np.ones((9, 9), bool)) == (4.5, 4.5)  # the frame's edge counts as an outline


def test_overlap_of_known_masks():
    left, top = (torch.zeros(2, 8, 8, dtype=torch.bool) for _ in range(2))
    left[:, :, :4] = True
    top[:, :4] = True
    assert overlap(left, left) == 1
    assert overlap(left, ~left) == 0
    assert overlap(left, top) == pytest.approx(16 / 48)
    assert overlap(torch.zeros_like(left), torch.zeros_like(left)) == 1


@given(st.integers(1, 100))
def test_psnr_of_a_known_error(error):
    frames = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    assert psnr(frames, frames + error) == pytest.approx(20 * math.log10(255 / error), abs=1e-4)
    assert psnr(frames, frames) == 99


def test_correlation_sees_through_scale_and_shift():
    maps = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    assert correlation(maps, 3 * maps - 7) == pytest.approx(1)
    assert correlation(maps, -maps) == pytest.approx(-1)
    assert correlation(maps, maps) == pytest.approx(np.corrcoef(maps.ravel(), maps.ravel())[0, 1])
    assert correlation(maps, torch.ones_like(maps)) == 0


def test_nearness_is_the_share_of_pairs():
    rng = torch.Generator().manual_seed(3)
    depth = torch.randint(0, 6, (9, 9), generator=rng).float()  # few values, so that there are ties
    subject = torch.rand(9, 9, generator=rng) > 0.6
    pairs = depth[subject][:, None] - depth[~subject][None]
    counted = ((pairs > 0).float() + 0.5 * (pairs == 0).float()).mean()
    assert nearness(depth, subject, ~subject) == pytest.approx(float(counted))
    assert nearness(subject.float(), subject, ~subject) == 1
    assert nearness(torch.ones(9, 9), subject, ~subject) == 0.5
    assert nearness(-subject.float(), subject, ~subject) == 0


def test_nearness_by_chance_is_a_half():
    rng = torch.Generator().manual_seed(4)
    depth, subject = torch.rand(128, 128, generator=rng), torch.rand(128, 128, generator=rng) > 0.7
    assert nearness(depth, subject, ~subject) == pytest.approx(0.5, abs=0.02)


def test_surroundings_are_a_band_of_half_the_subjects_width():
    subject = torch.zeros(64, 64, dtype=torch.bool)
    subject[24:40, 24:40] = True
    band = surroundings(subject)
    assert not (band & subject).any()
    assert band[32, 16:24].all()
    assert not band[32, :16].any()
    assert band[39, 16:24].all()
    assert not band[40:].any()


def test_what_stands_on_the_ground_is_nearer_than_all_of_its_surroundings():
    subject = torch.zeros(64, 64, dtype=torch.bool)
    subject[10:41, 20:30] = True
    ground = torch.arange(64.0)[:, None].expand(64, 64)
    assert nearness(torch.where(subject, 40.5, ground), subject, surroundings(subject)) == 1
    assert nearness(torch.where(subject, 40.5, ground), subject, ~subject) < 0.75


def test_a_perfect_edit_keeps_the_subject_where_it_was():
    asked = case(0, side=64, num_frames=2)
    truth = rendered(asked.truth, 2, 64, 64)
    assert overlap(torch.from_numpy(truth.masks > 0), torch.from_numpy(asked.source.masks > 0)) > 0.99
    assert (truth.scene.environment, truth.scene.look) == (
        asked.target_attributes["environment"],
        asked.target_attributes["look"],
    )


def test_cases_ask_for_what_would_show():
    asked = [case(number, side=32, num_frames=1) for number in range(40)]
    for each in asked:
        assert (each.target_attributes["colour"] in each.words) == each.tells["colour"]
        assert each.truth.subjects[0].kind == each.example.subjects[0].kind == each.source.scene.subjects[0].kind
        sketch = each.truth.look == "pencil sketch"
        assert not (sketch and (each.tells["colour"] or each.tells["environment"]))
    assert len({each.words for each in asked}) > 30


def test_no_seed_is_trained_on():
    assert max(plan.first_seed + plan.clips for plan in PLANS) < FIRST_SEED
    assert TRIES * 100_000 < FIRST_SEED


def test_the_judge_learns_from_worlds_of_its_own():
    assert max(plan.first_seed + plan.clips for plan in PLANS) < FIRST_LESSON_SEED
    assert FIRST_LESSON_SEED + COUNT < FIRST_SEED


def test_every_goal_is_of_something_measured():
    known = METRICS.keys() | RATIOS.keys()
    assert {goal.name for goal in GOALS} | {trend.name for trend in TRENDS} <= known
    assert [goal.name for goal in GOALS if goal.falls] == ["surface of source"]


def test_metrics_say_where_better_lies():
    lower = {"warp", "surface", "distance", "unasked", "evaluations", "flicker", "motion", "structure"}
    lower |= {"kept_de76", "kept_de2000", "kept_lpips", "frechet", "kernel", "swapped"}
    assert {name for name, metric in METRICS.items() if metric.better == "lower"} == lower
    shares = {"environment", "look", "colour", "joint", "asked", "picked"}
    assert {name for name, metric in METRICS.items() if metric.share} == shares
