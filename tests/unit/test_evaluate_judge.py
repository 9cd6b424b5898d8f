"""The judge that comes with the package: what it is worth on worlds that it never saw, and what a point tells it."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from einops import rearrange
from torch.nn import functional as F

from recast.errors import WeightsError
from recast.evaluation.cases.worlds import FRAMINGS, case
from recast.evaluation.judge.dataset import blurred
from recast.evaluation.judge.judge import SIDE, WEIGHTS, Judge
from recast.evaluation.metrics.accuracy import accuracy, overlap, pointed
from recast.evaluation.metrics.consistency import neighbours
from recast.networks.judge import spotted
from recast.world import rendered, sampled

LARGEST = 3_000_000
"""Bytes that the judge may take."""
WORLDS = range(900, 924)


@pytest.fixture(scope="module")
def judge():
    return Judge.opened()


@pytest.fixture(scope="module")
def truths():
    """Cases with their own renders, as frames of one clip a case."""
    asked = [case(number, side=SIDE, num_frames=1) for number in WORLDS]
    return [(each, _frames(rendered(each.truth, 1))) for each in asked]


def _frames(footage):
    return rearrange(torch.from_numpy(footage.frames), "t h w c -> t c h w").contiguous()


def _mask(footage):
    return torch.from_numpy(footage.masks > 0)


def test_it_is_small():
    assert WEIGHTS.stat().st_size < LARGEST


def test_it_sees_what_true_renders_show(judge, truths):
    scores = [accuracy(frames, asked, judge) for asked, frames in truths]
    for name, least in {"environment": 0.95, "look": 0.9, "colour": 0.9, "outline": 0.8}.items():
        assert np.mean([each[name] for each in scores if name in each]) >= least


def test_shuffled_labels_are_right_by_chance_alone(judge, truths):
    asked = [each for each, _ in truths]
    scores = [accuracy(frames, other, judge) for (_, frames), other in zip(truths, asked[5:] + asked[:5], strict=True)]
    for name in ("environment", "look", "colour"):
        assert np.mean([each[name] for each in scores if name in each]) <= 0.45


@pytest.fixture(scope="module")
def slipped(judge, truths):
    """Mean overlap of outlines by how far, in pixels, the clip slips to the right; its point stays."""

    def score(pixels):
        return np.mean([accuracy(torch.roll(frames, pixels, -1), asked, judge)["outline"] for asked, frames in truths])

    return {pixels: score(pixels) for pixels in (0, 4, 8, 16, 48)}


def test_an_outline_is_where_the_edit_has_it(slipped):
    assert all(after < before for before, after in pairwise(slipped.values()))
    assert slipped[48] < 0.2


def test_slipping_costs_as_much_as_it_should(slipped, truths):
    true = [_mask(asked.source) for asked, _ in truths]
    due = np.mean([overlap(mask, mask.roll(4, -1)) for mask in true])
    assert slipped[4] <= due + 0.03


def test_another_subject_in_the_same_place_is_not_the_source(judge):
    due, seen = [], []
    for seed in range(12_000_000, 12_000_012):
        framing = float(np.random.default_rng(seed).uniform(*FRAMINGS))
        wishes = {"look": "plain", "time": "day", "weather": "sun", "num_subjects": 1, "textured": 0.2}
        person, other = (
            rendered(sampled(seed, kinds=(kind,), framing=framing, **wishes), 1) for kind in ("person", "cube")
        )
        if not (_mask(person) & _mask(other)).any():
            continue
        due.append(overlap(_mask(other), _mask(person)))
        seen.append(overlap(judge(_frames(other), pointed(_mask(person))).subject, _mask(person)))
    assert len(due) > 8
    assert np.mean(seen) <= np.mean(due) + 0.1


def test_where_there_is_no_subject_it_sees_none(judge, truths):
    covered = []
    for asked, _ in truths:
        (subject,) = asked.truth.subjects
        gone = replace(subject, position=(0.0, 0.0, -1000.0))  # behind the camera
        empty = rendered(replace(asked.truth, subjects=(gone,)), 1)
        assert not empty.masks.any()
        covered.append(overlap(judge(_frames(empty), pointed(_mask(asked.source))).subject, _mask(asked.source)))
    assert np.mean(covered) < 0.15


def test_where_nothing_can_be_seen_it_outlines_nothing(judge, truths):
    rng = np.random.default_rng(7)
    shape = (1, 3, SIDE, SIDE)
    noise = torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))
    coarse = F.interpolate(torch.from_numpy(rng.uniform(0, 255, (1, 3, 12, 12))), (SIDE, SIDE), mode="bicubic")
    pictures = {
        "grey": torch.full(shape, 128, dtype=torch.uint8),
        "noise": noise,
        "coarse noise": coarse.clamp(0, 255).to(torch.uint8),
        "gradient": torch.linspace(20, 200, SIDE).to(torch.uint8).expand(shape),
    }
    for name, picture in pictures.items():
        scores = [accuracy(picture, asked, judge)["outline"] for asked, _ in truths[::2]]
        assert np.mean(scores) < 0.1, name


def test_a_blur_takes_the_outline_only_where_it_hides_it(judge, truths):
    scores = []
    for share in (0.0, 0.25, 0.5, 2.0):  # of the subject's inner radius
        soft = [_soft(frames, share * _radius(asked)) for asked, frames in truths]
        scores.append(
            np.mean([accuracy(each, asked, judge)["outline"] for each, (asked, _) in zip(soft, truths, strict=True)])
        )
    assert all(after < before for before, after in pairwise(scores))
    assert scores[1] > 0.6
    assert scores[-1] < 0.1


def _radius(asked):
    return cv2.distanceTransform(_mask(asked.source)[0].numpy().astype(np.uint8), cv2.DIST_L2, 5).max()


def _soft(frames, softness):
    picture = rearrange(frames[0].numpy(), "c h w -> h w c")
    shown = blurred(np.ascontiguousarray(picture), float(softness)) if softness else picture
    return rearrange(torch.from_numpy(shown), "h w c -> 1 c h w")


def test_frames_are_as_alike_as_they_look(judge, truths):
    clip = _frames(case(WORLDS[0], side=SIDE).source)
    draw = torch.Generator().manual_seed(2)
    still = neighbours(judge.embeddings(clip[:1].repeat(4, 1, 1, 1)))
    moving = neighbours(judge.embeddings(clip))
    exposures = [1 + share * torch.randn(len(clip), 1, 1, 1, generator=draw) for share in (0.05, 0.2)]
    flicker = [neighbours(judge.embeddings((clip * each).clamp(0, 255).byte())) for each in exposures]
    unrelated = neighbours(judge.embeddings(torch.cat([frames for _, frames in truths])))
    scores = [still, moving, *flicker, unrelated]
    assert still == pytest.approx(1)
    assert all(after < before for before, after in pairwise(scores))
    assert moving > 0.9
    assert abs(unrelated) < 0.2


def test_it_looks_at_frames_of_any_size(judge):
    frames = torch.randint(0, 256, (3, 3, 40, 52), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    assert judge(frames, torch.full((3, 2), 0.5)).subject.shape == (3, 40, 52)


def test_a_mirrored_clip_gets_the_mirrored_verdict(judge, truths):
    for asked, frames in truths[:4]:
        points = pointed(_mask(asked.source))
        here = judge(frames, points)
        there = judge(frames.flip(-1), torch.stack([points[:, 0], 1 - points[:, 1]], dim=1))
        assert (here.environment, here.look, here.colour) == (there.environment, there.look, there.colour)
        # Rounding may tip a pixel that is on the edge.
        assert (here.subject != there.subject.flip(-1)).float().mean() < 1e-3


def test_a_spot_is_brightest_where_it_points():
    spots = spotted(torch.tensor([[3.5, 10.5], [0.5, 15.5]]), 16)
    assert rearrange(spots, "b two h w -> b two (h w)").argmax(dim=2).tolist() == [[3 * 16 + 10] * 2, [15] * 2]
    assert (spots.amax(dim=(2, 3)) == 1).all()
    # It tells no size: it is the same wherever it lies.
    here, there = (spotted(torch.tensor([[32.5, column]]), 64) for column in (30.5, 34.5))
    assert torch.allclose(here.roll(4, -1)[..., 4:], there[..., 4:], atol=1e-6)


def test_a_damaged_judge_is_refused(tmp_path):
    broken = tmp_path / "model.safetensors"
    with pytest.raises(WeightsError, match="judge"):
        Judge.opened(broken)
    broken.write_bytes(WEIGHTS.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="judge"):
        Judge.opened(broken)
