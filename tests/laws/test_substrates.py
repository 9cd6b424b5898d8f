"""Substrates: known warps of one image, layers that move apart, identities, and fits that were stopped."""

import pytest
import torch
from torch.testing import assert_close

from recast.errors import Cancelled, RequestError
from recast.substrates.found import fit_of
from recast.substrates.layers import filled, layer_shares, sampled
from recast.substrates.moves import own_places
from substrate_clips import SIZE, texture, two_layer_clip

INNER = (..., slice(8, -8), slice(8, -8))


def warps(count, size=SIZE, margin=20):
    """Where each pixel of each frame lies on a larger picture: it drifts, turns and bends; frame count // 2 rests."""
    own = own_places(size)
    centre = torch.tensor([size[1] / 2, size[0] / 2]).reshape(2, 1, 1)
    places = []
    for frame in range(count):
        time = frame - count // 2
        angle = torch.tensor(0.012 * time)
        x, y = own - centre
        turned = torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()]) + centre
        bend = torch.stack([(own[1] / 11).sin(), (own[0] / 13).cos() - 1]) * 0.35 * time
        places.append(turned + bend + torch.tensor([1.3, -0.6]).reshape(2, 1, 1) * time + margin)
    return torch.stack(places)


def warped_clip(count=7):
    picture = texture(SIZE[0] + 40, SIZE[1] + 40)
    places = warps(count)
    return (255 * sampled(picture, places)).round().to(torch.uint8), places - 20


def test_a_clip_of_known_warps_of_one_image_is_that_image_and_those_warps():
    frames, true = warped_clip()
    fit = fit_of(frames, "canonical", passes=6)
    made = fit.run()
    assert made.error_db(fit.shown)[0] >= 30
    (layer,) = made.layers
    found = layer.places - layer.places[made.reference, :, :1, :1]
    away = (found - true)[INNER].square().sum(1).sqrt()
    assert away.max() < 1
    assert away.mean() < 0.2


def rippled_clip(count=5):
    """One image, bent more and more away from the middle frame in waves of six pixels, which flow does not see."""
    own, places = own_places(SIZE), []
    for time in range(-(count // 2), count // 2 + 1):
        waves = torch.stack([(1.05 * own[1] + 0.3 * own[0]).sin(), (0.95 * own[0]).cos()])
        places.append(own + 0.45 * time * waves + torch.tensor([1.3, -0.6]).reshape(2, 1, 1) * time + 20)
    picture = texture(SIZE[0] + 40, SIZE[1] + 40, fine=3)
    return (255 * sampled(picture, torch.stack(places))).round().to(torch.uint8)


def test_waves_finer_than_flow_are_found_and_the_reference_frame_stays_what_it_is():
    fit = fit_of(rippled_clip(), "canonical", passes=8)
    made = fit.run()
    assert made.error_db(fit.shown)[0] > 33.5  # grids of 16 and 4 pixels reach 31.9
    away = (made.rendered() - fit.shown)[made.reference].square().mean()
    assert -10 * away.log10() > 48  # 46 where pictures are not held to it


def test_a_still_clip_has_no_deformation_and_its_frame_as_the_canonical_image():
    frames = warped_clip()[0][:1].expand(4, -1, -1, -1).contiguous()
    made = fit_of(frames, "canonical", passes=2).run()
    (layer,) = made.layers
    moves = layer.places - layer.places[made.reference]
    assert moves.abs().max() < 0.02
    assert_close(made.rendered(), frames.float() / 255, atol=0.01, rtol=0)


def test_two_layers_that_move_apart_are_found_and_each_is_reconstructed():
    frames, discs = two_layer_clip()
    fit = fit_of(frames, "atlas", passes=6)
    found = fit.alphas[1] > 0.5
    both, either = (found & (discs > 0.5)).sum(), (found | (discs > 0.5)).sum()
    assert both / either > 0.75
    masked = fit_of(frames, "atlas", mask=discs, passes=6)
    made = masked.run()
    assert min(made.error_db(masked.shown)) >= 30
    one = fit_of(frames, "canonical", passes=6)
    assert made.error_db(masked.shown)[0] > one.run().error_db(one.shown)[0] + 2
    background, foreground = made.layers
    # The disc hides each part of the background in some frames; its picture shows it whole all the same.
    assert background.picture.shape[-1] >= SIZE[1] + 10
    assert_close((background.places[-1] - background.places[0])[:, 10, 60], torch.tensor([10.5, 0]), atol=0.3, rtol=0)
    centres = torch.stack([each[:, 32, 20 + 2 * frame] for frame, each in enumerate(foreground.places)])
    assert (centres - centres[0]).norm(dim=1).max() < 0.5


def test_a_picture_painted_on_one_layer_shows_where_that_layer_does():
    frames, discs = two_layer_clip(count=5)
    made = fit_of(frames, "atlas", mask=discs, passes=2).run()
    green = torch.tensor([0.0, 1, 0]).reshape(3, 1, 1).expand_as(made.layers[1].picture)
    seen = made.rendered([None, green])
    share = made.shares()[1]
    assert_close(seen, (1 - share) * made.layers[0].rendered() + share * green[None, :, :1, :1], atol=1e-5, rtol=0)
    assert_close(made.rendered([None, None]), made.rendered())


def test_a_fit_that_was_stopped_goes_on_to_the_same_layers():
    frames, _ = warped_clip(count=4)
    fit, kept = fit_of(frames, "canonical", passes=3), []
    whole = fit.run()
    for stop in (1, 4):

        def halted(done, _total, stop=stop):
            if done == stop:
                raise Cancelled("enough")

        with pytest.raises(Cancelled):
            fit.run(halted, lambda state, **_: kept.append(state))
        again = fit.run(state={name: value.clone() for name, value in kept[-1].items()})
        assert torch.equal(again.layers[0].picture, whole.layers[0].picture)
        assert torch.equal(again.layers[0].places, whole.layers[0].places)


def test_a_clip_that_moves_as_one_has_no_foreground_and_says_what_to_do():
    frames, _ = warped_clip(count=4)
    with pytest.raises(RequestError, match="--mask"):
        fit_of(frames[:1].expand(3, -1, -1, -1).contiguous(), "atlas")
    with pytest.raises(RequestError, match="reads no mask"):
        fit_of(frames, "canonical", mask=torch.ones(4, 1, *SIZE))


def test_shares_add_up_and_what_is_filled_goes_on_smoothly():
    alphas = [torch.ones(2, 1, 4, 5), torch.rand(2, 1, 4, 5), torch.rand(2, 1, 4, 5)]
    assert_close(sum(layer_shares(alphas)), torch.ones(2, 1, 4, 5))
    values, weights = torch.full((1, 2, 9, 7), 3.0), torch.zeros(1, 1, 9, 7)
    weights[..., 2:5, 1:3] = 1
    assert_close(filled(values * weights, weights), values)
