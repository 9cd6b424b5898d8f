"""What a camera adds to a rendered clip, part by part."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from recast.world import as_filmed, rendered, sampled
from recast.world.filming import GAMMA, GREY, Filming, filmed

SIDE = 96


def shot(footage, seed=0, **filming):
    return filmed(footage, Filming(**filming), np.random.default_rng(seed))


def light(footage):
    return (footage.frames / 255) ** GAMMA


@pytest.fixture(scope="module")
def day():
    return rendered(sampled(1, look="plain", time="day", kinds=["dog"]), 3, SIDE, SIDE)


@pytest.fixture(scope="module")
def night():
    return rendered(sampled(1, look="plain", time="night", environment="forest", kinds=["dog"]), 3, SIDE, SIDE)


def test_a_camera_that_adds_nothing_gives_the_frames_back(day):
    np.testing.assert_allclose(shot(day).frames, day.frames, atol=1)


def test_truth_and_words_stay_and_a_seed_repeats(day):
    filming = Filming.drawn(np.random.default_rng(5))
    one, other = (filmed(day, filming, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.frames, other.frames)
    assert not np.array_equal(one.frames, day.frames)
    assert (one.depth is day.depth, one.masks is day.masks, one.flow is day.flow) == (True, True, True)
    assert (one.caption, one.scene) == (day.caption, day.scene)


def test_a_stop_doubles_the_light_and_the_last_frame_has_its_own(day):
    dark = replace(day, frames=day.frames // 2)  # so that nothing clips
    made = light(shot(dark, stops=(1.0, 0.0))) / light(dark).clip(1e-3)
    seen = dark.frames > 40
    assert np.median(made[0][seen[0]]) == pytest.approx(2, rel=0.05)
    assert np.median(made[2][seen[2]]) == pytest.approx(1, rel=0.05)


def test_metering_brings_a_night_to_be_seen_and_leaves_what_is_exposed(night):
    assert light(night).mean() < GREY / 8
    assert light(shot(night, metered=1.0)).mean() == pytest.approx(4 * light(night).mean(), rel=0.1)
    grey = replace(night, frames=np.full_like(night.frames, round(255 * GREY ** (1 / GAMMA))))
    np.testing.assert_allclose(shot(grey, metered=1.0).frames, grey.frames, atol=1)


def test_warmth_raises_red_and_lowers_blue(day):
    dark = replace(day, frames=day.frames // 2)
    before, after = (light(each).mean((0, 1, 2)) for each in (dark, shot(dark, warmth=0.2)))
    np.testing.assert_allclose(after / before, [2**0.2, 1, 2**-0.2], rtol=0.03)


def test_the_subject_is_sharp_and_what_lies_far_from_it_is_not(day):
    made = shot(day, aperture=0.3)
    far = np.abs(day.inverse_depth - np.median(day.inverse_depth[day.masks == 1])) > 0.05
    inner = np.stack([cv2.erode(mask, np.ones((5, 5))) for mask in (day.masks == 1).astype(np.uint8)]).astype(bool)
    before, after = (
        np.stack([np.abs(cv2.Laplacian(frame[..., 1], cv2.CV_32F)) for frame in each.frames]) for each in (day, made)
    )
    kept = [after[where].mean() / before[where].mean() for where in (inner & ~far, far)]
    assert kept[0] > 2 * kept[1]
    assert kept[1] < 0.4


def test_drawings_have_no_focus(day):
    drawn = replace(day, scene=replace(day.scene, look="watercolor"))
    np.testing.assert_array_equal(shot(drawn, aperture=1.0).frames, shot(drawn).frames)


def test_noise_grows_with_the_root_of_light_and_differs_by_frame(day):
    def spread(level):
        plain = replace(day, frames=np.full_like(day.frames, round(255 * level ** (1 / GAMMA))))
        made = light(shot(plain, noise=0.02))
        assert not np.array_equal(made[0], made[1])
        return made.std()

    assert spread(0.4) / spread(0.1) == pytest.approx(2, rel=0.1)


def test_less_quality_leaves_less(day):
    errors = [
        np.abs(shot(day, quality=quality).frames.astype(int) - day.frames).mean() for quality in (100, 95, 60, 20)
    ]
    assert errors == sorted(errors)
    assert errors[1] > errors[0]


def test_a_share_of_the_worlds_is_filmed_and_a_larger_share_holds_it(day):
    worlds = [replace(day, scene=replace(day.scene, seed=seed)) for seed in range(60)]
    none, some, most, every = (
        {number for number, each in enumerate(worlds) if as_filmed(each, share) is not each}
        for share in (0, 0.4, 0.7, 1)
    )
    assert (none, every) == (set(), set(range(60)))
    assert some < most
    assert 12 <= len(some) <= 36
