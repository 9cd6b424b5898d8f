"""Windows cover a clip, and what is joined from them is no more and no less than one answer a frame."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from recast.diffusion.windows import shares, starts, windowed
from recast.errors import RequestError
from recast.types import Condition

NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))

sizes = st.integers(1, 20).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))
lengths = st.integers(1, 90)


@given(lengths, sizes)
def test_every_frame_is_seen_by_windows_of_full_length(length, window):
    size, overlap = window
    firsts = starts(length, size, overlap)
    seen = {frame for first in firsts for frame in range(first, first + min(size, length))}
    assert seen == set(range(length))
    assert firsts == sorted(set(firsts))
    assert all(later - first <= size - overlap for first, later in pairwise(firsts))


@given(lengths, sizes)
def test_shares_add_up_to_one_and_stay_inside_their_window(length, window):
    size, overlap = window
    share = shares(length, size, overlap)
    assert_close(share.sum(0), torch.ones(length))
    for row, first in zip(share, starts(length, size, overlap), strict=True):
        assert set(row.nonzero().flatten().tolist()) == set(range(first, first + min(size, length)))


def test_shares_change_slowly_from_window_to_window():
    assert shares(40, 16, 8).diff(dim=1).abs().max() <= 1 / 8


@given(lengths, sizes)
def test_a_denoiser_that_sees_frames_apart_is_not_changed(length, window):
    x = torch.randn(length, 1, 2, 2, generator=torch.Generator().manual_seed(length))
    seen = []

    def apart(x, sigma, condition):
        seen.append(len(x))
        return x * sigma + condition.structure_channels

    condition = Condition(
        torch.zeros(1, 1), torch.zeros(1, 1), structure_channels=torch.arange(length).reshape(-1, 1, 1, 1).float()
    )
    assert_close(windowed(apart, *window)(x, 0.5, condition), x * 0.5 + condition.structure_channels.expand_as(x))
    assert set(seen) == {min(length, window[0])}


def test_a_clip_that_fits_goes_through_whole():
    x = torch.randn(5, 1, 2, 2)

    def mixing(x, _sigma, _condition):
        return x - x.mean(0, keepdim=True)

    assert torch.equal(windowed(mixing, 5, 2)(x, 1.0, NOTHING), mixing(x, 1.0, NOTHING))


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (4, 4), (4, 5), (4, -1)])
def test_windows_that_do_not_move_on_are_refused(size, overlap):
    with pytest.raises(RequestError, match=f"windows of {size} frames cannot share {overlap}"):
        windowed(lambda x, _sigma, _condition: x, size, overlap)


def test_windows_know_which_frames_of_the_source_they_have():
    seen = []

    def denoise(x, _sigma, condition):
        seen.append((condition.frames.tolist(), condition.cond[:, 0, 0].tolist()))
        return x

    prompts = torch.arange(7.0)[:, None, None]
    condition = Condition(prompts, torch.zeros(1, 1), frames=torch.arange(100, 107))
    windowed(denoise, 4, 2)(torch.zeros(7, 1, 1, 1), 1.0, condition)
    assert seen == [(list(range(100 + i, 104 + i)), list(range(i, i + 4))) for i in (0, 2, 3)]
