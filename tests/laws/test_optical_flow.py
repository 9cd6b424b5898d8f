"""Optical flow, warping, occlusion, trajectories and propagation: identities, inverses and closed forms."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from recast.conditions.flow import ClipFlow, flow_between, resized_flow
from recast.conditions.propagation import keyframes, midpoint, propagated
from recast.conditions.tracks import PointTracks
from recast.conditions.warping import composed, fused, matched, shrunk, visible, warped
from recast.errors import RequestError

SIZE = (40, 56)
INNER = (slice(None), slice(None), slice(8, -8), slice(8, -8))


def moving(right, down, frames=2, size=SIZE):
    """A smooth texture that wraps around, and goes that many pixels a frame."""
    noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    smooth = F.avg_pool2d(F.pad(noise, (4, 4, 4, 4), mode="circular"), 9, 1)
    texture = 255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())
    shown = [texture.roll((down * i, right * i), (-2, -1)) for i in range(frames)]
    return torch.cat(shown).round().to(torch.uint8)


def constant(right, down, count=1, size=SIZE):
    return torch.tensor([right, down]).float().view(1, 2, 1, 1).expand(count, 2, *size).contiguous()


def steady(right, down, count=1, size=SIZE):
    return ClipFlow(constant(right, down, count, size), constant(-right, -down, count, size))


def test_flow_of_a_moving_texture_is_its_motion_there_and_back():
    flow = ClipFlow.of(moving(3, -2, frames=3))
    assert flow.forward.shape == flow.backward.shape == (2, 2, *SIZE)
    for found, true in ((flow.forward, constant(3, -2, 2)), (flow.backward, constant(-3, 2, 2))):
        assert (found - true)[INNER].abs().median() < 0.1


@pytest.mark.parametrize("size", [(4, 6), (13, 9)])
def test_frames_of_any_size_have_flow_and_equal_ones_none(size):
    frames = moving(0, 0, frames=2, size=size)
    assert_close(flow_between(frames[:1], frames[1:]), torch.zeros(1, 2, *size), atol=1e-3, rtol=0)
    assert ClipFlow.of(frames[:1]).forward.shape == (0, 2, *size)


def test_resized_flow_is_the_same_share_of_the_frame():
    assert_close(resized_flow(constant(8, 6), (10, 28)), constant(4, 1.5, size=(10, 28)))
    assert_close(resized_flow(constant(8, 6), (80, 56)), constant(8, 12, size=(80, 56)))
    assert_close(resized_flow(resized_flow(constant(8, 6), (10, 28)), SIZE), constant(8, 6))


def test_no_flow_is_the_identity_and_whole_pixels_are_a_shift():
    picture = torch.rand(1, 4, *SIZE)
    assert_close(warped(picture, constant(0, 0)), picture, atol=1e-4, rtol=0)
    shifted = picture.roll((2, -3), (-2, -1))  # its value at p is the picture's at p + (3, -2)
    assert_close(warped(picture, constant(3, -2))[INNER], shifted[INNER], atol=1e-4, rtol=0)


def test_latents_are_warped_by_the_flow_of_their_frames():
    latents = torch.rand(1, 4, 5, 7)
    assert_close(warped(latents, constant(8, 0))[..., :-1], latents[..., 1:], atol=1e-4, rtol=0)


def test_flows_add_up_on_the_way_to_a_third_frame():
    assert_close(composed(constant(2, 1), constant(-5, 0.5)), constant(-3, 1.5))


def test_what_returns_is_visible_and_what_does_not_or_leaves_is_not():
    seen = visible(constant(5, 0), constant(-5, 0))
    assert_close(seen[0, 0], (torch.arange(SIZE[1]) < SIZE[1] - 5).float().expand(SIZE))
    assert visible(constant(0, 0), constant(0, 0)).min() == 1
    assert visible(constant(1, 0), constant(1, 0)).max() == 0
    # |f + b|^2 = .49 is below .5, and .81 is above .5 + .01 (1 + .01)
    assert visible(constant(0, 0), constant(0.7, 0)).max() == 1
    assert visible(constant(1, 0), constant(-0.1, 0)).max() == 0


def test_a_latent_is_visible_where_all_of_its_pixels_are():
    shares = torch.ones(1, 1, 8, 16)
    shares[..., 3, 9] = 0
    assert torch.equal(shrunk(shares, (1, 2))[0, 0], torch.tensor([[1.0, 0.0]]))


def test_matched_pictures_are_fused_into_the_second_ones():
    one, other = moving(4, 3).float().split(1)
    flow, seen = matched(*(each.to(torch.uint8) for each in (one, other)))
    assert seen[INNER].mean() > 0.95
    assert (fused(torch.zeros_like(one), warped(other, flow), seen) - one)[INNER].abs().median() < 3
    assert torch.equal(fused(one, other, torch.zeros_like(seen)), one)


def test_tracks_of_a_still_clip_are_its_pixels_and_their_mean_is_over_time():
    tracks, maps = PointTracks.of(steady(0, 0, 3)), torch.rand(4, 2, *SIZE)
    assert tracks.count == SIZE[0] * SIZE[1]
    assert torch.equal(tracks.ids, tracks.ids[:1].expand_as(tracks.ids))
    assert_close(tracks.mean(maps), maps.mean(0, keepdim=True).expand_as(maps))


def test_tracks_move_with_the_flow_and_each_pixel_is_on_one():
    tracks = PointTracks.of(steady(2, -1, 3))
    assert torch.equal(tracks.ids[1:, :-1, 2:], tracks.ids[:-1, 1:, :-2])
    assert torch.equal(tracks.ids.unique(), torch.arange(tracks.count))
    number, frame = tracks.reached.nonzero(as_tuple=True)
    assert len(number) == tracks.ids.numel()
    assert torch.equal(tracks.ids.flatten(1)[frame, tracks.places[number, frame]], number)


def test_where_two_tracks_meet_the_first_goes_on_and_the_other_ends():
    flow = ClipFlow(torch.zeros(2, 2, 1, 3), torch.zeros(2, 2, 1, 3))
    flow.forward[:, 0, 0, 1] = -0.6  # the middle pixel rounds to the left one, and is near enough to count as seen
    ids = PointTracks.of(flow).ids[:, 0]
    assert torch.equal(ids, torch.tensor([[0, 1, 2], [0, 3, 2], [0, 4, 2]]))


def test_hidden_points_have_tracks_of_their_own_so_their_mean_is_themselves():
    hidden = ClipFlow(constant(1, 0), constant(1, 0))
    maps = torch.rand(2, 3, *SIZE)
    assert torch.equal(PointTracks.of(hidden).mean(maps), maps)


def test_keyframes_are_every_nth_and_the_last():
    assert keyframes(9, 4) == [0, 4, 8]
    assert keyframes(7, 4) == [0, 4, 6]
    assert (keyframes(1, 8), keyframes(3, 1)) == ([0], [0, 1, 2])
    with pytest.raises(RequestError, match="every 0 frames"):
        keyframes(3, 0)


def test_between_still_keyframes_pictures_are_mixed_by_distance():
    edited = torch.rand(2, 3, *SIZE)
    expected = torch.stack([edited[0].lerp(edited[1], share) for share in (0, 0.25, 0.5, 0.75, 1)])
    assert_close(propagated(edited, [0, 4], steady(0, 0, 4)), expected, atol=1e-3, rtol=0)


def test_keyframes_of_a_moving_texture_give_the_frames_between():
    clip = moving(2, 1, frames=5).float()
    between = propagated(clip[[0, 2, 4]], [0, 2, 4], steady(2, 1, 4))
    assert torch.equal(between[::2], clip[::2])
    assert (between - clip)[INNER].abs().max() < 0.5


def test_what_one_keyframe_hides_comes_from_the_other():
    """Nothing of the first keyframe is seen later, so the frame between is the second one."""
    flow = steady(0, 0, 2)
    flow.backward[0] = 5.0
    edited = torch.stack([torch.zeros(3, *SIZE), torch.ones(3, *SIZE)])
    assert propagated(edited, [0, 2], flow)[1].min() > 0.99
    flow.forward[1] = 5.0  # nor of the second: then distance alone counts
    assert_close(propagated(edited, [0, 2], flow)[1], torch.full((3, *SIZE), 0.5))


def test_the_picture_halfway_of_a_moving_texture_is_its_texture_halfway():
    clip = moving(2, 2, frames=3)
    assert (midpoint(clip[:1], clip[2:]) - clip[1:2])[INNER].abs().median() < 3
