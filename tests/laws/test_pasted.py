"""Pasted figures are as deep as the ground that they stand on, and hide nothing that is nearer."""

from itertools import pairwise

import numpy as np
import pytest

from recast.data import renders
from recast.training.objectives import depth
from recast.training.objectives.depth_augment import DepthSample, peopled


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> renders.RenderedDataset:
    folder = tmp_path_factory.mktemp("pool")
    plan = renders.RenderPlan("some", 6, 96, 96, first_seed=70, frames=1, framing=(0.4, 0.6), look="plain")
    renders.render(folder, (plan,), workers=1)
    return renders.RenderedDataset.opened(folder / "some")


def leaves(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)


def ground(frames: int = 1, far: float = 0.1) -> DepthSample:
    """A plane up to the horizon in the middle of the picture, and sky."""
    rows = np.clip(np.arange(96, dtype=np.float32) - 48, 0, None) / 48 + np.float32(far)
    inverse = np.broadcast_to(rows[None, :, None], (frames, 96, 96))
    return DepthSample(np.full((frames, 96, 96, 3), 128, np.uint8), inverse, np.zeros((frames, 96, 96), np.uint8))


def test_a_figure_is_as_near_as_its_feet_and_hides_nothing_nearer(worlds: renders.RenderedDataset):
    before, pasted = ground(), 0
    for seed in range(40):
        after = peopled(np.random.default_rng(seed), before, worlds, leaves)
        assert np.array_equal(after.depth[after.things == 0], before.depth[after.things == 0])
        for number in np.unique(after.things[after.things > 0]):
            where = after.things == number
            assert len(np.unique(after.depth[where])) == 1
            nearest = before.depth[where].max()
            assert nearest <= after.depth[where][0] * 1.0201
            assert after.depth[where][0] in before.depth
            pasted += 1
    assert pasted > 20


def test_a_figure_stays_itself_on_its_way(worlds: renders.RenderedDataset):
    """In each frame it is as near as the ground where it stands by then, and goes a straight way."""
    followed = 0
    for seed in range(40):
        after = peopled(np.random.default_rng(seed), ground(frames=4), worlds, leaves)
        for number in np.unique(after.things[after.things > 0]):
            shown = [after.things[i] == number for i in range(4)]
            if not all(where.any() for where in shown):
                continue
            depths = [np.unique(after.depth[i][where]) for i, where in enumerate(shown)]
            assert [len(each) for each in depths] == [1] * 4
            tops = np.array([np.argwhere(where).min(axis=0)[0] for where in shown])
            if len({int(where.sum()) for where in shown}) == 1:  # nothing hides it, and it is not cut off
                assert np.ptp(np.diff(tops)) <= 2
                followed += 1
    assert followed > 5


def test_nothing_is_pasted_where_there_is_no_ground(worlds: renders.RenderedDataset):
    before = ground()
    sky = DepthSample(before.frames, np.full_like(before.depth, 0.1), before.things)
    for seed in range(10):
        after = peopled(np.random.default_rng(seed), sky, worlds, leaves)
        assert np.array_equal(after.frames, sky.frames)
        assert np.array_equal(after.depth, sky.depth)


def test_shadows_only_darken():
    picture = np.random.default_rng(3).integers(0, 256, (2, 96, 128, 3)).astype(np.uint8)
    for seed in range(10):
        shaded = depth._shaded(np.random.default_rng(seed), picture)
        assert (shaded <= picture).all()
        assert (shaded < picture).mean() > 0.001


@pytest.mark.parametrize(("held", "frames"), [(8, 4), (3, 8), (2, 5), (1, 3), (1, 1)])
def test_a_run_of_frames_goes_on_by_one_or_stands_still(held: int, frames: int):
    runs = [depth._run(np.random.default_rng(seed), held, frames) for seed in range(60)]
    assert all(len(run) == frames and set(run) <= set(range(held)) for run in runs)
    moving = [run for run in runs if len(set(run)) > 1]
    assert all(abs(after - before) == 1 for run in moving for before, after in pairwise(run))
    assert len(moving) == 0 if min(held, frames) == 1 else 0 < len(moving) < 60


def test_an_example_of_a_still_picture_stays_still(worlds: renders.RenderedDataset):
    """A pool of single frames gives clips in which nothing but pasted figures and noise differs."""
    for seed in range(20):
        pictures, inverse, weight = depth.example(np.random.default_rng(seed), worlds, leaves, frames=3)
        assert pictures.shape == (3, 3, 96, 96)
        assert inverse.shape == weight.shape == (3, 96, 96)
        assert 0 <= inverse.min() <= inverse.max() <= 1
        assert weight.mean() == pytest.approx(1, abs=1e-3)
        assert np.median(np.abs(inverse[1:] - inverse[:-1])) == 0
