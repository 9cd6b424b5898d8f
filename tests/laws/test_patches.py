"""Keyframes carried by patches: what is found where the right answer is known."""

import torch

from recast.conditions.flow import ClipFlow
from recast.conditions.patches import nearest_patches, synthesized, voted

SIZE = (28, 36)


def picture(seed, channels=3):
    return torch.rand(1, channels, *SIZE, generator=torch.Generator().manual_seed(seed))


def still(count):
    flow = torch.zeros(count, 2, *SIZE)
    return ClipFlow(flow, flow)


def own_places():
    return torch.stack(torch.meshgrid(*(torch.arange(side) for side in SIZE), indexing="ij"))


def test_a_picture_is_nearest_to_itself_and_votes_give_back_what_was_there():
    shown, edited = picture(0), picture(1, channels=4)
    places, unlike = nearest_patches(shown, shown, still(1).forward)
    assert torch.equal(places, own_places())
    assert unlike.abs().max() == 0
    assert torch.allclose(voted(edited, places), edited, atol=1e-6)


def test_a_shift_that_flow_does_not_know_is_found_and_one_that_it_knows_is_kept():
    key = picture(0)
    frame = key.roll((2, 3), dims=(2, 3))
    inside = (slice(None), slice(6, -6), slice(6, -6))
    expected = (own_places() - torch.tensor([2, 3]).reshape(2, 1, 1))[inside]
    blind, _ = nearest_patches(frame, key, still(1).forward)
    led = torch.tensor([-3.0, -2.0]).reshape(1, 2, 1, 1).expand(1, 2, *SIZE)
    known, unlike = nearest_patches(frame, key, led)
    assert (blind[inside] == expected).float().mean() > 0.99
    assert torch.equal(known[inside], expected)
    assert unlike[6:-6, 6:-6].max() < 1e-6


def test_of_a_still_clip_with_one_edit_every_frame_is_the_edit():
    frames = (255 * picture(0)).to(torch.uint8).expand(5, -1, -1, -1)
    edited = picture(1).expand(3, -1, -1, -1)
    made = synthesized(edited, [0, 2, 4], frames, still(4))
    assert torch.allclose(made, edited[:1].expand(5, -1, -1, -1), atol=1e-6)


def test_keyframes_are_kept_and_the_keyframe_that_fits_is_followed():
    """The scene changes before the last keyframe: frames that show the first scene take nothing of the other's edit."""
    scenes = (255 * torch.cat([picture(0), picture(0), picture(2)])).to(torch.uint8)
    edited = torch.cat([picture(1), picture(3)])
    made = synthesized(edited, [0, 2], scenes, still(2))
    assert torch.equal(made[[0, 2]], edited)
    assert (made[1] - edited[0]).abs().mean() < 0.25 * (made[1] - edited[1]).abs().mean()


def test_the_same_input_gives_the_same_answer_whatever_was_drawn_before():
    frame, key = picture(0), picture(4)
    one, _ = nearest_patches(frame, key, still(1).forward)
    torch.rand(3)
    assert torch.equal(one, nearest_patches(frame, key, still(1).forward)[0])


def test_more_is_found_than_where_flow_leads():
    frame, key = picture(0), picture(4)
    led = nearest_patches(frame, key, still(1).forward)[1]
    apart = (torch.nn.functional.pad(frame - key, (2, 2, 2, 2), mode="replicate")).unfold(2, 5, 1).unfold(3, 5, 1)
    assert led.mean() < 0.8 * apart.square().mean(dim=(1, 4, 5)).mean()
