"""Attention to other frames: what each recipe comes to, and that windows see the same frames as a whole clip."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch.testing import assert_close

from attention_calls import GRID, HEADS, attended, call_of, part_of
from recast.errors import BackboneError
from recast.networks.attention_recipes import (
    ExtendedAttention,
    FrameBank,
    PassAttention,
    ReferenceAttention,
    Trajectories,
    TrajectoryAttention,
    anchored,
    causal_in_pass,
    first_and_previous,
)

FRAMES = (10, 11, 12, 13, 14)
PLACES = GRID[0] * GRID[1]


def keyed(call, *frames):
    """The call's own answer with the keys and values of these frames, chosen by hand."""
    rows = [call.frames.index(frame) for frame in frames]
    k, v = (torch.cat([each[row] for row in rows])[None] for each in (call.k, call.v))
    return k, v


def test_first_and_previous_are_looked_at_and_nothing_else():
    call = call_of(FRAMES)
    answer = ReferenceAttention(first_and_previous(10))(call, attended)
    for row, frame in enumerate(FRAMES):
        k, v = keyed(call, 10, max(frame - 1, 10))
        assert_close(answer[row : row + 1], attended(replace(part_of(call, slice(row, row + 1)), k=k, v=v)))
    assert_close(answer[0], attended(call)[0])  # the same keys twice are the same keys


def test_anchors_are_the_same_for_all_and_the_anchor_itself_is_left_alone():
    call = call_of(FRAMES)
    answer = ReferenceAttention(anchored(12))(call, attended)
    k, v = (each.expand(5, -1, -1) for each in keyed(call, 12))
    assert_close(answer, attended(replace(call, k=k, v=v)))
    assert_close(answer[2], attended(call)[2])


def test_all_frames_as_anchors_are_extended_attention():
    call = call_of(FRAMES)
    assert_close(ReferenceAttention(anchored(*FRAMES))(call, attended), ExtendedAttention()(call, attended))
    assert not torch.allclose(ExtendedAttention()(call, attended), attended(call), atol=1e-2)


@pytest.mark.parametrize("references", [first_and_previous(10), anchored(10)])
@pytest.mark.parametrize("windows", [[slice(0, 3), slice(2, 5)], [slice(i, i + 1) for i in range(5)]])
def test_windows_look_at_the_frames_that_the_whole_clip_does(references, windows):
    call = call_of(FRAMES)
    whole = ReferenceAttention(references)(call, attended)
    hook = ReferenceAttention(references, FrameBank(frozenset({10})))
    for rows in windows:
        assert_close(hook(part_of(call, rows), attended), whole[rows])


def test_what_was_not_seen_at_this_level_is_refused():
    call = call_of(FRAMES)
    hook = ReferenceAttention(anchored(10), FrameBank(frozenset({10})))
    hook(part_of(call, slice(0, 2)), attended)
    with pytest.raises(BackboneError, match=r"frame 10 .* sigma 1\.0"):
        hook(part_of(call, slice(2, 4), sigma=1.0), attended)
    with pytest.raises(BackboneError, match="frame 10"):
        hook(part_of(call, slice(2, 4), branch=1), attended)
    with pytest.raises(BackboneError, match="frames' numbers"):
        hook(replace(call, frames=None), attended)


def test_in_one_pass_from_the_clips_first_frame_on_causal_attention_is_the_clips_and_in_others_their_own():
    call, rows = call_of(FRAMES), slice(2, 5)
    hook = PassAttention(causal_in_pass)
    assert torch.equal(hook(call, attended), ReferenceAttention(first_and_previous(10))(call, attended))
    late = part_of(call, rows)
    assert torch.equal(hook(late, attended), ReferenceAttention(first_and_previous(late.frames[0]))(late, attended))


def test_extended_attention_in_a_window_is_that_of_its_frames():
    call, rows = call_of(FRAMES), slice(1, 4)
    in_window = ExtendedAttention()(part_of(call, rows), attended)
    k, v = (repeat(each[rows], "f m e -> b (f m) e", b=3) for each in (call.k, call.v))
    assert_close(in_window, attended(replace(part_of(call, rows), k=k, v=v)))


def still_paths():
    return Trajectories.of_paths(
        repeat(torch.arange(PLACES), "p -> p t", t=5), torch.ones(PLACES, 5, dtype=torch.bool), FRAMES, GRID
    )


def test_along_trajectories_that_stand_still_it_is_attention_at_one_place():
    call = call_of(FRAMES)
    inner = attended(call)
    at_place = rearrange(inner, "t n (h d) -> n h t d", h=HEADS)
    expected = rearrange(F.scaled_dot_product_attention(at_place, at_place, at_place), "n h t d -> t n (h d)")
    assert_close(TrajectoryAttention(still_paths())(call, attended), expected)
    rows = slice(2, 4)
    few = at_place[:, :, rows]
    assert_close(
        TrajectoryAttention(still_paths())(part_of(call, rows), attended),
        rearrange(F.scaled_dot_product_attention(few, few, few), "n h t d -> t n (h d)"),
    )


def test_trajectories_are_followed_and_end_where_they_are_hidden():
    """A picture that moves by a place a frame, each place on its path: every frame answers like the first, moved."""
    call = call_of(FRAMES, still=True)
    moved = torch.stack([call.q[0].roll(frame, 0) for frame in range(5)])
    paths = (torch.arange(PLACES)[:, None] + torch.arange(5)) % PLACES
    reached = torch.ones(PLACES, 5, dtype=torch.bool)
    follow = TrajectoryAttention(Trajectories.of_paths(paths, reached, FRAMES, GRID))
    assert_close(follow(call, lambda _call: moved), moved)  # equal answers on a path: their mean is each of them
    hidden = Trajectories.of_paths(paths, torch.eye(5, dtype=torch.bool)[:1].expand(PLACES, -1), FRAMES, GRID)
    noise = torch.randn_like(moved)
    assert_close(TrajectoryAttention(hidden)(call, lambda _call: noise), noise)
    assert not torch.allclose(follow(call, lambda _call: noise), noise, atol=1e-2)


def test_trajectories_of_another_resolution_or_of_other_frames():
    call = call_of(FRAMES)
    other = replace(call, grid=(3, 2))
    assert torch.equal(TrajectoryAttention(still_paths())(other, attended), attended(other))
    with pytest.raises(BackboneError, match="asked for 20"):
        TrajectoryAttention(still_paths())(call_of((20, 21)), attended)
