"""Measures of edits beside their sources, against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recast.conditions.flow import ClipFlow
from recast.evaluation import ASKED, CLIP, CROSSING, CUSTOMIZED, JUDGED, METRICS, PAIRED, SETS
from recast.evaluation.metrics.consistency import all_pairs, centred, neighbours, warp_along
from recast.evaluation.metrics.direction import directional_similarity
from recast.evaluation.metrics.edges import edge_agreement
from recast.evaluation.metrics.fidelity import psnr
from recast.evaluation.metrics.flicker import flicker
from recast.evaluation.metrics.frame_accuracy import frame_accuracy
from recast.evaluation.metrics.kept import kept_scores
from recast.evaluation.metrics.motion import end_point_error
from recast.evaluation.metrics.ssim import REACH, SIDE, SIGMA, ssim, ssim_maps
from recast.evaluation.metrics.structure import structure_distance

VALUES = st.integers(0, 255)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def flat(*values):
    return torch.stack([torch.full((3, 16, 16), value, dtype=torch.uint8) for value in values])


def test_a_still_clip_is_consistent_and_does_not_flicker():
    still = noise(1, 3, 16, 20).expand(5, -1, -1, -1)
    for vectors in (centred(still), normal(1, 7).expand(5, -1)):
        assert neighbours(vectors) == pytest.approx(1)
        assert all_pairs(vectors) == pytest.approx(1)
    assert flicker(still) == 0
    assert warp_along(still, ClipFlow.of(still)) == pytest.approx(0, abs=1e-9)


@given(st.integers(1, 6), st.integers(1, 6))
def test_all_pairs_count_each_pair_once_whatever_its_place(ones, others):
    vectors = torch.eye(2)[[0] * ones + [1] * others]
    same = ones * (ones - 1) + others * (others - 1)
    count = ones + others
    assert all_pairs(vectors) == pytest.approx(same / (count * (count - 1)), abs=1e-6)
    mixed = vectors[torch.randperm(count, generator=torch.Generator().manual_seed(ones))]
    assert all_pairs(3 * mixed) == pytest.approx(all_pairs(vectors), abs=1e-6)


def test_of_two_frames_all_pairs_are_the_neighbours():
    vectors = normal(2, 9)
    assert all_pairs(vectors) == pytest.approx(neighbours(vectors))


def test_frame_accuracy_counts_frames_nearer_to_the_target():
    target, source = torch.eye(2)
    frames = torch.tensor([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0], [0.1, 0.0]])
    assert frame_accuracy(target, source, frames) == 0.75  # a tie counts, as in FateZero
    assert frame_accuracy(source, target, frames) == 0.5


def test_direction_is_that_of_the_words():
    words, source_words = torch.eye(6)[:2]
    before = torch.eye(6)[1].expand(4, -1)
    towards, aside = torch.eye(6)[0].expand(4, -1), torch.eye(6)[2].expand(4, -1)
    assert directional_similarity(words, source_words, towards, before) == pytest.approx(1)
    assert directional_similarity(words, source_words, before, towards) == pytest.approx(-1)
    assert directional_similarity(words, source_words, before, before) == 0
    # From e2 to e3 where e2 to e1 was asked: half of the way is right.
    assert directional_similarity(2 * words, source_words, 7 * aside, before) == pytest.approx(0.5)


@given(VALUES, VALUES, VALUES)
def test_flicker_is_the_mean_step(one, two, three):
    assert flicker(flat(one, two, three)) == pytest.approx((abs(one - two) + abs(two - three)) / 2, abs=1e-4)


def test_motion_error_is_a_distance_in_pixels():
    flow = normal(3, 2, 8, 9)
    assert end_point_error(flow, flow) == 0
    assert end_point_error(flow, flow + torch.tensor([3.0, 4.0])[:, None, None]) == pytest.approx(5, abs=1e-5)


def test_a_pure_shift_has_no_warp_error_where_it_is_seen():
    wide = noise(1, 3, 24, 40)[0]
    frames = torch.stack([wide[:, :, 6 - 2 * i : 36 - 2 * i] for i in range(4)])
    right = torch.tensor([2.0, 0.0])[:, None, None].expand(3, 2, 24, 30)
    flow = ClipFlow(right.contiguous(), -right)
    assert warp_along(frames, flow) == pytest.approx(0, abs=1e-9)
    assert warp_along(frames, ClipFlow(0 * right, 0 * right)) > 0.05
    away = torch.full_like(right, 100.0)
    assert warp_along(frames, ClipFlow(away, -away)) is None


def test_edges_agree_where_both_have_them():
    lines = torch.zeros(2, 1, 100, 100)
    lines[:, :, :, 20] = 1
    assert edge_agreement(lines, lines) == 1
    # .8 % of the diagonal of 141 px is 2 px.
    assert edge_agreement(lines, lines.roll(2, -1)) == 1
    assert edge_agreement(lines, lines.roll(3, -1)) == 0
    more = lines.clone()
    more[:, :, :, 70] = 1
    assert edge_agreement(lines, more) == edge_agreement(more, lines) == pytest.approx(2 / 3)
    nothing = torch.zeros_like(lines)
    assert (edge_agreement(nothing, nothing), edge_agreement(lines, nothing)) == (1, 0)


@given(VALUES, VALUES)
def test_ssim_of_two_plain_pictures_is_that_of_their_brightness(one, two):
    x, y = one / 255, two / 255
    expected = (2 * x * y + 1e-4) / (x * x + y * y + 1e-4)
    assert ssim(flat(one), flat(two)) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_1_of_equals_symmetric_and_worse_with_more_noise():
    one, other = noise(2, 3, 18, 20), noise(2, 3, 18, 20, seed=1)
    assert ssim(one, one) == pytest.approx(1, abs=1e-12)
    assert ssim(one, other) == pytest.approx(ssim(other, one), abs=1e-12)
    slight = (one.float() * 0.9 + other.float() * 0.1).to(torch.uint8)
    assert 1 > ssim(one, slight) > ssim(one, other)


def test_ssim_of_one_window_is_the_papers_sum():
    one, other = noise(1, 3, SIDE, SIDE), noise(1, 3, SIDE, SIDE, seed=1)
    weights = torch.exp(-((torch.arange(SIDE).double() - REACH) ** 2) / (2 * SIGMA**2))
    weights = torch.outer(weights, weights) / weights.sum() ** 2
    found = []
    for x, y in zip(one[0].double(), other[0].double(), strict=True):
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
        both = (weights * (x - mx) * (y - my)).sum()
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        found.append((2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert float(ssim_maps(one, other)[0, REACH, REACH]) == pytest.approx(float(sum(found)) / 3, abs=1e-9)


def test_what_was_to_stay_is_measured_there_alone():
    source = noise(2, 3, 40, 40)
    kept = torch.ones(2, 40, 40, dtype=torch.bool)
    kept[:, 10:20, 10:20] = False
    edited = source.clone()
    edited[..., 10:20, 10:20] = 255 - source[..., 10:20, 10:20]
    scores = kept_scores(edited, source, kept)
    assert scores == pytest.approx({"kept_psnr": 99, "kept_ssim": 1, "kept_de76": 0, "kept_de2000": 0}, abs=1e-9)
    elsewhere = kept_scores(edited, source, ~kept)
    assert elsewhere["kept_psnr"] < 15
    assert elsewhere["kept_de76"] > elsewhere["kept_de2000"] > 5
    assert "kept_ssim" not in elsewhere  # no window fits into what stays
    assert kept_scores(edited, source, torch.zeros_like(kept)) == {}


@given(st.integers(1, 100))
def test_psnr_of_a_uniform_change(change):
    source, edited = flat(100, 100), flat(100 + change, 100)
    first = torch.zeros(2, 16, 16, dtype=torch.bool)
    first[0] = True
    decibel = 20 * math.log10(255 / change)
    assert psnr(edited, source, first) == pytest.approx(decibel)
    assert psnr(edited, source) == pytest.approx(decibel + 10 * math.log10(2))


def test_structure_does_not_change_when_features_turn_or_grow():
    features = normal(3, 10, 6)
    turn = torch.linalg.qr(normal(6, 6, seed=1)).Q
    assert structure_distance(features, 4 * features @ turn) == pytest.approx(0, abs=1e-10)
    assert structure_distance(features, features.flip(1)) > 0.01


@given(st.integers(2, 8))
def test_structure_distance_of_places_that_are_alike_to_such_that_are_not(count):
    apart, alike = torch.eye(count)[None], torch.ones(1, count, count)
    assert structure_distance(apart, alike) == pytest.approx(1 - 1 / count, abs=1e-6)


def test_no_two_tables_of_metrics_share_a_name():
    tables = (JUDGED, CLIP, ASKED, PAIRED, SETS, CROSSING, CUSTOMIZED)
    assert len(METRICS) == sum(map(len, tables))
