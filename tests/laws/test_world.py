"""Laws of the world: what a clip says of itself agrees with geometry that is worked out anew here."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from recast.errors import RequestError
from recast.world import dead_leaves, rendered, sampled
from recast.world.camera import Lens, looking, views
from recast.world.materials import PAINTS
from recast.world.raycast import cast
from recast.world.solids import PLANES, Solid, ball, placed, turned
from recast.world.words import COLOURS, ENVIRONMENTS, KINDS, LOOKS, TIMES, WEATHERS

SIZE = {"height": 64, "width": 80}
LEVEL = looking(np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 1.0, 5.0]]))


def still(scene):
    """The scene with nothing left in it that moves."""
    subjects = tuple(replace(s, speed=0.0, gait=0.0) for s in scene.subjects)
    return replace(scene, subjects=subjects, camera=replace(scene.camera, move="still", drift=(0.0, 0.0, 0.0)))


def test_the_same_seed_gives_the_same_bytes():
    one, two = rendered(sampled(11), **SIZE), rendered(sampled(11), **SIZE)
    for name in ("frames", "depth", "masks", "flow"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert one.caption == two.caption
    assert rendered(sampled(12), **SIZE).frames.tobytes() != one.frames.tobytes()


@pytest.mark.parametrize(("height", "width", "num_frames"), [(48, 96, 3), (96, 48, 1), (64, 64, 16)])
def test_any_size_aspect_and_length(height, width, num_frames):
    clip = rendered(sampled(3, weather="rain"), num_frames=num_frames, height=height, width=width)
    assert clip.frames.shape == (num_frames, height, width, 3)
    assert clip.flow.shape == (num_frames, height, width, 2)
    assert clip.depth.shape == clip.masks.shape == (num_frames, height, width)
    assert np.isfinite(clip.flow).all()
    assert (clip.depth > 0).all()
    np.testing.assert_allclose(clip.inverse_depth * clip.depth, 1, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_every_place_light_and_look(kind):
    for number, (environment, look) in enumerate(zip(ENVIRONMENTS, [*LOOKS, *LOOKS], strict=False)):
        time, weather = list(TIMES)[number % 3], list(WEATHERS)[number % 4]
        wanted = {"kinds": [kind], "environment": environment, "look": look, "time": time, "weather": weather}
        clip = rendered(sampled(number, **wanted, num_subjects=1), num_frames=2, height=32, width=32)
        assert clip.masks.max() == 1
        assert clip.frames.std() > 5


def test_the_background_flows_as_its_depth_and_the_camera_say():
    for seed, move in enumerate(("pan", "orbit", "dolly", "handheld")):
        scene = sampled(seed, move=move)
        clip = rendered(scene, num_frames=4, stride_seconds=0.1, **SIZE)
        focal = scene.camera.focal * SIZE["height"]
        eyes = views(scene.camera, (np.arange(5) - 1.5) * 0.1)
        y, x = np.mgrid[: SIZE["height"], : SIZE["width"]].astype(float)
        centre = np.array([SIZE["width"], SIZE["height"]]) / 2 - 0.5
        for index in range(3):
            depth = clip.depth[index].astype(float)
            here = np.stack([(x - centre[0]) / focal * depth, (y - centre[1]) / focal * depth, depth, np.ones_like(x)])
            there = np.einsum("ij,jhw->ihw", eyes[index + 1] @ np.linalg.inv(eyes[index]), here)
            target = there[:2] / there[2] * focal + centre[:, None, None]
            moved = np.stack([x, y]) + np.moveaxis(clip.flow[index], -1, 0)
            still_there = clip.masks[index] == 0
            assert np.abs(moved - target)[:, still_there].max() < 0.01

            next_depth = cv2.remap(clip.depth[index + 1], *moved.astype(np.float32), cv2.INTER_NEAREST)
            inside = still_there & (moved[0] > 1) & (moved[0] < 78) & (moved[1] > 1) & (moved[1] < 62)
            agrees = np.abs(next_depth / there[2] - 1)[inside] < 0.1
            assert agrees.mean() > 0.85  # the rest is covered by something nearer, or lies on an outline


def test_subjects_flow_to_where_they_are_next():
    for seed in range(6):
        clip = rendered(sampled(seed, num_subjects=1), num_frames=3, height=96, width=96)
        y, x = np.nonzero(clip.masks[1])
        flow = clip.flow[1, y, x]
        to_x, to_y = np.round(x + flow[:, 0]).astype(int), np.round(y + flow[:, 1]).astype(int)
        inside = (to_x >= 0) & (to_x < 96) & (to_y >= 0) & (to_y < 96)
        assert (clip.masks[2][to_y[inside], to_x[inside]] == 1).mean() > 0.85


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_is_where_the_world_without_the_subject_is_farther(seed):
    scene = sampled(seed, kinds=["person", "dog", "car"])
    clip = rendered(scene, num_frames=3, **SIZE)
    for number in (1, 2, 3):
        rest = scene.subjects[: number - 1] + scene.subjects[number:]
        without = rendered(replace(scene, subjects=rest), num_frames=3, **SIZE)
        farther = without.depth > clip.depth * (1 + 1e-6)
        np.testing.assert_array_equal(farther, clip.masks == number)
        np.testing.assert_allclose(without.depth[~farther], clip.depth[~farther], rtol=1e-6)


def test_looks_share_depth_masks_and_flow_to_the_bit():
    clips = [rendered(sampled(21, look=look), num_frames=2, **SIZE) for look in LOOKS]
    for clip in clips[1:]:
        for name in ("depth", "masks", "flow"):
            assert getattr(clip, name).tobytes() == getattr(clips[0], name).tobytes()
    means = [clip.frames.astype(float) for clip in clips]
    apart = [np.abs(one - two).mean() for n, one in enumerate(means) for two in means[n + 1 :]]
    assert min(apart) > 4


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_flickers_where_nothing_moves(look):
    scene = still(sampled(8, kinds=["person", "house"], weather="sun", look=look, textured=0.0))
    clip = rendered(scene, num_frames=4, **SIZE)
    for name in ("frames", "depth", "masks"):
        values = getattr(clip, name)
        assert (values == values[:1]).all()
    assert np.abs(clip.flow).max() < 1e-3


def test_a_ball_on_the_axis_is_as_far_as_its_near_side():
    lens = Lens(101, 101, 100.0)
    hits, _ = cast([ball(np.array([0.0, 1.0, 5.0]), (1.0, 1.0, 1.0))], LEVEL, lens)
    assert 1 / hits.inverse_depth[0, 50, 50] == pytest.approx(4.0, rel=1e-6)
    # Its outline is the cone of tangents: radius over distance is the sine of the half angle.
    assert (hits.ids[0, 50] == 2).sum() / 2 == pytest.approx(100 * np.tan(np.arcsin(1 / 5)), abs=1)


def test_the_ground_is_as_far_as_the_eye_is_high_over_the_slope():
    lens = Lens(100, 100, 80.0)
    hits, _ = cast([ball(np.array([0.0, 1.0, -50.0]), (1.0, 1.0, 1.0))], LEVEL, lens)
    below = lens.rows > 0.02
    depth = 1 / hits.inverse_depth[0][below]
    np.testing.assert_allclose(depth, np.broadcast_to(1 / lens.rows[below, None], depth.shape), rtol=1e-5)
    assert (hits.inverse_depth[0][lens.rows < 0] == np.float32(0.01)).all()


@pytest.mark.parametrize("form", ["ball", "tube", *PLANES])
def test_closed_form_hits_equal_marching_along_the_ray(form):
    rng = np.random.default_rng(5)
    lens = Lens(24, 24, 24.0)
    depths = np.linspace(2, 6, 2001)
    rays = np.stack(np.broadcast_arrays(lens.columns, lens.rows[:, None], np.float32(1)), -1).astype(float)
    for _ in range(2):
        turn = turned("x", rng.uniform(-3, 3)) @ turned("y", rng.uniform(-3, 3)) @ turned("z", rng.uniform(-3, 3))
        solid = Solid(form, placed(np.array([0.0, 1.0, 4.0]), tuple(rng.uniform(0.4, 1.2, 3)), turn), taper=0.4)
        hits, _ = cast([solid], LEVEL, lens)
        away = np.linalg.inv(LEVEL[0] @ solid.pose)
        points = (depths[:, None, None, None] * rays) @ away[:3, :3].T + away[:3, 3]
        inside = _inside(form, points)
        if form == "tube":
            # A tube is open: what counts is its wall.
            inside = inside != np.roll(inside, 1, 0)
            inside &= np.abs(points[..., 1]) < 0.995
        met = inside.any(0)
        first = depths[inside.argmax(0)]
        ground = hits.ids[0] < 2
        assert (met == ~ground).mean() > 0.96
        both = met & ~ground
        assert np.median(np.abs(first - 1 / hits.inverse_depth[0])[both]) < 3e-3
        assert (np.abs(first - 1 / hits.inverse_depth[0])[both] < 0.01).mean() > 0.96


def _inside(form, points):
    x, y, z = np.moveaxis(points, -1, 0)
    if form == "ball":
        return x * x + y * y + z * z <= 1
    if form == "tube":
        return (np.hypot(x, z) <= 0.7 - 0.3 * y) & (np.abs(y) <= 1)
    return (points @ PLANES[form][:, :3].T + PLANES[form][:, 3] <= 0).all(-1)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_subject_has_the_colour_that_its_name_says(colour):
    shown = []
    for seed in range(3):
        wanted = {"kinds": ["ball"], "colours": [colour], "textured": 0.1, "time": "day", "weather": "sun"}
        clip = rendered(sampled(seed, **wanted, environment="grass meadow", look="plain"), num_frames=1, **SIZE)
        shown.append(clip.frames[clip.masks == 1].mean(0))
    shown = np.mean(shown, 0)

    def hue(rgb):
        return (rgb - np.mean(rgb)) / 80

    def distance(name):
        paint = np.array(PAINTS[name], float)
        return np.linalg.norm(hue(paint * 0.8) - hue(shown)) + abs(paint.mean() * 0.8 - shown.mean()) / 120

    assert min(PAINTS, key=distance) == colour


def test_the_first_subject_is_in_view_and_large_enough():
    heights, seen = [], []
    for seed in range(50):
        clip = rendered(sampled(seed), num_frames=3, height=32, width=32, stride_seconds=0.35)
        rows = (clip.masks == 1).any(2)
        heights.append(rows.sum(1).max() / 32)
        seen.append(rows.any(1).mean())
    assert np.mean(np.array(seen) == 1) > 0.95
    assert np.mean(np.array(heights) > 0.15) > 0.9
    assert 0.08 < np.mean(np.array(heights) > 0.6) < 0.6


def test_a_wish_leaves_everything_else_as_it_was():
    free, wished = sampled(5), sampled(5, look="neon", time="night")
    assert (wished.look, wished.time) == ("neon", "night")
    assert replace(wished, look=free.look, time=free.time) == free


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"lok": "neon"}, "lok"), ({"look": "oil"}, "'oil'"), ({"kinds": ["yak"]}, "'yak'"), ({"num_subjects": 9}, "9")],
)
def test_an_unknown_wish_is_named(wanted, message):
    with pytest.raises(RequestError, match=message):
        sampled(0, **wanted)


def test_dead_leaves_have_the_spectrum_of_natural_pictures():
    pictures = [dead_leaves(np.random.default_rng(seed), (64, 64)).mean(-1) for seed in range(60)]
    assert dead_leaves(np.random.default_rng(1), (40, 56)).shape == (40, 56, 3)
    window = np.hanning(64)[:, None] * np.hanning(64)
    power = np.mean([np.abs(np.fft.fft2((p - p.mean()) * window)) ** 2 for p in pictures], 0)
    radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None]) * 64
    middle = (radius > 3) & (radius < 20)
    slope = np.polyfit(np.log(radius[middle]), np.log(power[middle]), 1)[0]
    assert -3.2 < slope < -1.6  # of natural pictures: near -2
