"""Laws of depth's one scale for the clip: what a monocular network leaves open may not show."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from recast.conditions.depth import OWN_SHARE, DepthExtractor, aligned, inverse, normalized, standardized
from recast.errors import RequestError
from recast.model.folder import ModelFolder

SCALES = st.floats(0.05, 20)
SHIFTS = st.floats(-5, 5)


def hills(num_frames: int, *, height: int = 24, width: int = 32, speed: float = 0.4) -> Tensor:
    """A smooth landscape that drifts sideways, with a box that passes in front: inverse depth [t 1 h w]."""
    rows, columns = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    frames = []
    for frame in range(num_frames):
        land = 0.2 + 0.15 * rows + 0.1 * torch.sin(2 * columns + speed * frame)
        left = 2 + 2 * frame
        land[8:14, left % width : left % width + 5] = 1.2
        frames.append(land)
    return torch.stack(frames)[:, None]


def joined(maps: Tensor) -> Tensor:
    """As an extractor joins maps whose scale and shift nobody knows."""
    return aligned(standardized(maps))


def affine(values: list[float]) -> Tensor:
    return torch.tensor(values)[:, None, None, None]


@settings(max_examples=25, deadline=None)
@given(st.lists(SCALES, min_size=5, max_size=5), st.lists(SHIFTS, min_size=5, max_size=5))
def test_scale_and_shift_of_each_frame_leave_no_trace(scales: list[float], shifts: list[float]) -> None:
    maps = hills(5)
    jumping = maps * affine(scales) + affine(shifts)
    assert_close(normalized(joined(jumping)), normalized(joined(maps)), atol=2e-3, rtol=0)


def test_jumps_of_a_still_clip_are_undone_exactly() -> None:
    maps = hills(1).expand(6, -1, -1, -1)
    jumping = maps * affine([1, 2, 0.5, 3, 1, 0.1]) + affine([0, 1, -2, 0.3, 9, 0])
    assert_close(joined(jumping), standardized(maps), atol=1e-5, rtol=0)
    assert_close(aligned(maps), maps, atol=1e-5, rtol=0)


def test_a_fit_ignores_what_moved() -> None:
    rng = torch.Generator().manual_seed(0)
    before = hills(1)[0]
    after = (before - 0.3) / 1.7
    elsewhere = torch.rand(before.shape, generator=rng) < 0.25
    after = torch.where(elsewhere, 3 + torch.rand(before.shape, generator=rng), after)
    fitted = aligned(torch.stack([before, after]))[1]
    wanted = torch.lerp(before, after, OWN_SHARE)
    assert_close(fitted[~elsewhere], wanted[~elsewhere], atol=1e-3, rtol=0)


def test_depth_does_not_fade_over_a_long_noisy_clip() -> None:
    rng = torch.Generator().manual_seed(0)
    maps = hills(1).expand(96, -1, -1, -1)
    noisy = maps + 0.3 * maps.std() * torch.randn(maps.shape, generator=rng)
    deviations = joined(noisy).std((-1, -2, -3))
    assert 0.8 < deviations[-1] / deviations[0] < 1.25


def test_what_comes_round_again_has_the_scale_that_it_had() -> None:
    """Each fit of maps that change is a little wrong: alone, they halve the deviation in 8 of these rounds."""
    rng = torch.Generator().manual_seed(0)
    shapes = torch.randn(5, 1, 12, 16, generator=rng)
    shapes = shapes * shapes.abs()
    turn = [
        torch.lerp(one, other, step / 5)
        for one, other in zip(shapes, shapes.roll(-1, 0), strict=True)
        for step in range(5)
    ]
    rounds = joined(torch.stack(turn).repeat(12, 1, 1, 1)).unflatten(0, (12, 25))
    assert_close(rounds[-1].std(), rounds[6].std(), atol=0, rtol=0.05)
    assert_close(rounds[-1].mean(), rounds[6].mean(), atol=0.05 * float(rounds[6].std()), rtol=0)


def test_a_known_scale_comes_back_and_an_unknown_one_is_none() -> None:
    near, far = 3 * hills(1) + 1, hills(1)
    approached = aligned(torch.cat([far, *[near] * 300]))
    assert_close(approached[1], far[0], atol=0.1, rtol=0)
    assert_close(approached[-1], near[0], atol=0.05, rtol=0)
    assert_close(standardized(near), standardized(far), atol=1e-5, rtol=0)


def test_the_first_frame_sets_the_scale() -> None:
    maps = hills(4)
    assert torch.equal(aligned(maps)[0], maps[0])
    assert torch.equal(aligned(maps[:1]), maps[:1])


@pytest.mark.parametrize("middle", [torch.zeros(1, 24, 32), torch.full((1, 24, 32), 7.0)])
def test_a_black_frame_within_the_clip_does_not_spoil_the_rest(middle: Tensor) -> None:
    maps = hills(3)
    maps[1] = middle
    fitted = joined(maps)
    assert fitted.isfinite().all()
    assert_close(fitted[2].std(), standardized(maps)[2].std())


@settings(max_examples=25, deadline=None)
@given(SCALES, SHIFTS)
def test_the_range_is_zero_to_one_whatever_the_unit(scale: float, shift: float) -> None:
    maps = normalized(hills(3) * scale + shift)
    assert_close(torch.stack([maps.min(), maps.max()]), torch.tensor([0.0, 1.0]))
    assert_close(maps, normalized(hills(3)), atol=1e-3, rtol=0)


def test_a_few_wild_values_do_not_set_the_range() -> None:
    maps = hills(4)
    wild = maps.clone()
    wild[0, 0, 0, :4] = torch.tensor([1e4, -1e4, 1e3, -1e3])
    assert_close(normalized(wild)[1:], normalized(maps)[1:], atol=0.02, rtol=0)


@pytest.mark.parametrize("value", [0.0, 1e-8, 0.5, -3.0, 1e6])
def test_constant_depth_is_zero(value: float) -> None:
    maps = torch.full((3, 1, 8, 8), value)
    assert torch.equal(normalized(joined(maps)), torch.zeros_like(maps))


def test_a_thing_smaller_than_one_percent_still_shows() -> None:
    maps = torch.zeros(2, 1, 32, 32)
    maps[:, :, 3, 3] = 5
    assert torch.equal(normalized(maps), maps / 5)


def test_metres_become_inverse_depth_nearest_brightest() -> None:
    metres = 2 / hills(4)
    assert_close(inverse(metres), 1 / metres)
    assert_close(normalized(inverse(metres)), normalized(hills(4)), atol=1e-5, rtol=0)
    assert inverse(torch.zeros(1, 1, 2, 2)).isfinite().all()
    near, far = normalized(inverse(torch.tensor([1.0, 4.0]).reshape(1, 1, 1, 2))).flatten()
    assert (near, far) == (1, 0)


def test_frames_too_small_for_the_estimator_are_refused_with_what_would_do():
    extractor = DepthExtractor.opened(ModelFolder.found("pocket"), torch.device("cpu"))
    with pytest.raises(RequestError, match=r"depth of 40x24 px .* at 32 px or more"):
        extractor.predicted(torch.zeros(1, 3, 24, 40, dtype=torch.uint8))
