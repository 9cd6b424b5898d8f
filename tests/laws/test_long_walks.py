"""Clips longer than a window: what each way of making them keeps, and what noises by name share."""

from math import hypot

import pytest
import torch
from torch.testing import assert_close

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.diffusion.long_walks import LONG_WALKS, LongWalk, keys_first, streamed
from recast.diffusion.noise_starts import NOISE_STARTS, based_noise, every
from recast.diffusion.samplers import ddim
from recast.errors import RequestError
from recast.types import Condition

SIGMAS = [10.0, 4.0, 2.0, 1.0, 0.5, 0.0]
SIZE, SHARED = 6, 2


def alone(x, sigma, _condition):
    """Each frame for itself."""
    return x / hypot(1, sigma) ** 2


def together(x, sigma, _condition):
    """Each frame by the mean of its window, of at most SIZE frames."""
    assert len(x) <= SIZE
    return (x + x.mean(0)) / 2 / hypot(1, sigma) ** 2


def walk_of(count, denoise=together, **more):
    rng = torch.Generator().manual_seed(0)
    start = hypot(1, SIGMAS[0]) * torch.randn(40, 2, 3, 3, generator=rng)[:count]
    nothing = Condition(torch.zeros(1, 1), torch.zeros(1, 1), frames=torch.arange(count))
    asked = {"sampler": ddim, "sigmas": SIGMAS, "condition": nothing, "size": SIZE, "overlap": SHARED}
    return LongWalk(**{"denoise": denoise, "start": start} | asked | more)


@pytest.mark.parametrize("name", LONG_WALKS)
@pytest.mark.parametrize("count", [7, 8, 23])
def test_every_frame_is_made_once_from_no_more_than_a_window(name, count):
    made = LONG_WALKS[name](walk_of(count))
    assert made.shape == (count, 2, 3, 3)
    assert made.isfinite().all()
    assert not torch.equal(made, walk_of(count).start)


@pytest.mark.parametrize("name", ["overlap", "gen-l-video", "keys"])
def test_frames_that_do_not_see_each_other_are_those_of_one_walk(name):
    walk = walk_of(20, alone)
    whole = ddim(alone, walk.start, SIGMAS, walk.condition)
    assert_close(LONG_WALKS[name](walk), whole, atol=1e-5, rtol=1e-5)


def test_windows_that_count_alike_are_others_than_those_that_fade():
    assert not torch.allclose(LONG_WALKS["overlap"](walk_of(20)), LONG_WALKS["gen-l-video"](walk_of(20)), atol=1e-4)


def test_a_stream_is_strict_what_was_made_does_not_depend_on_what_follows():
    longer, shorter = streamed(walk_of(30)), streamed(walk_of(14))
    assert torch.equal(longer[:14], shorter)
    overlapping = LONG_WALKS["overlap"](walk_of(30)), LONG_WALKS["overlap"](walk_of(14))
    assert not torch.equal(overlapping[0][:14], overlapping[1])


def test_a_stream_follows_the_part_before_for_fewer_steps_the_later_a_frame():
    seen = []

    def look(x, sigma):
        seen.append((sigma, x))
        return x

    streamed(walk_of(10, step_hook=look))
    first, second = seen[: len(SIGMAS) - 1], seen[len(SIGMAS) - 1 :]
    alike = [
        [torch.equal(one[SIZE - SHARED + k], other[k]) for k in range(SHARED)]
        for (_, one), (_, other) in zip(first, second, strict=True)
    ]
    assert alike == [[True, True], [True, False], *[[False, False]] * 3]  # .4 of 5 steps, and half of that


def test_a_stream_reuses_the_noise_of_the_part_before_in_reverse():
    seen = []

    def spy(x, sigma, condition):
        seen.append((sigma, x))
        return together(x, sigma, condition)

    walk = walk_of(10, spy)
    streamed(walk)
    first, second = (x for sigma, x in seen if sigma == SIGMAS[0])
    assert torch.equal(second[:SHARED], first[-SHARED:])
    mixed = (4 * first.flip(0)[: SIZE - SHARED] + walk.start[SIZE:]) / hypot(4, 1)
    assert_close(second[SHARED:], mixed)


def test_keys_are_those_of_their_own_walk_and_stay():
    walk = walk_of(26)
    picks = torch.arange(0, 26, 5)
    keys = ddim(together, walk.start[picks], SIGMAS, walk.condition.at(picks))
    assert_close(keys_first(walk)[picks], keys)


def test_frames_between_are_made_beside_the_keys():
    walk = walk_of(26)
    turned = walk_of(26, start=walk.start * torch.where(torch.arange(26) == 5, -1.0, 1.0)[:, None, None, None])
    made, other = keys_first(walk), keys_first(turned)
    assert not torch.allclose(made[1:5], other[1:5], atol=1e-3)  # frame 5 is a key, and they see it


def test_keys_need_a_frame_between_two():
    with pytest.raises(RequestError, match="window of 2 frames"):
        keys_first(walk_of(8, size=2))


@pytest.mark.parametrize("name", NOISE_STARTS)
def test_noises_have_unit_variance_and_the_covariance_that_is_said(name):
    def draw(frames, number):
        return torch.stack(
            [torch.randn(4, 48, 48, generator=torch.Generator().manual_seed(7 * f + number)) for f in frames]
        )

    start, share = NOISE_STARTS[name]
    noise = start(draw, range(6), share)
    assert_close(noise.flatten(1).var(1), torch.ones(6), atol=0.05, rtol=0)
    wanted = {"own": 0.0, "shared": 1.0, "mixed": 0.5, "progressive": 0.8**0.5, "residual": 0.5}[name]
    assert (noise[0] * noise[1]).mean().item() == pytest.approx(wanted, abs=0.05)


def test_the_base_of_videofusion_is_the_noise_of_the_middle_frame():
    def draw(frames, number):
        return torch.stack(
            [torch.randn(4, 48, 48, generator=torch.Generator().manual_seed(7 * f + number)) for f in frames]
        )

    noise = based_noise(draw, range(5), 3.0)
    with_middle = (noise * noise[2]).mean((1, 2, 3))
    assert_close(with_middle, torch.tensor([0.9, 0.9, 1.0, 0.9, 0.9]).sqrt(), atol=0.05, rtol=0)


def test_latents_of_several_frames_draw_as_their_first_frame():
    draw = every(lambda frames, _number: torch.tensor(frames).float().reshape(-1, 1, 1, 1), 4)
    assert draw([0, 1, 2], 0).flatten().tolist() == [0, 4, 8]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Frames that do not see each other: each is what its noise says."""
    editor = recast.load(write_stable_diffusion(tmp_path_factory.mktemp("model")))

    def made(**more):
        return editor.generate(prompt="a dog", steps=2, size=(32, 32), frames=6, window=4, **more).frames

    return made


def test_one_noise_makes_one_picture(images):
    shared = images(noise="shared")
    assert (shared == shared[:1]).all()
    assert not (images() == images()[:1]).all()


def test_freenoise_repeats_a_window_in_another_order(images):
    frames, own = images(noise="freenoise"), images()
    assert torch.equal(frames[:4], own[:4])
    again = [[torch.equal(frame, first) for first in frames[:2]] for frame in frames[4:]]
    assert sorted(map(tuple, again)) == [(False, True), (True, False)]


def test_freeinit_of_one_walk_is_own_noise_and_of_more_is_not(images):
    once, twice = (images(noise="freeinit", freeinit_walks=count) for count in (1, 2))
    assert torch.equal(once, images())
    assert not torch.equal(once, twice)
