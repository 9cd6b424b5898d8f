"""Pasted figures are as deep as the ground that they stand on, and hide nothing that is nearer."""

import numpy as np
import pytest

from recast.training import depth, pool
from recast.training.pasted import Shown, peopled


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> pool.Pool:
    folder = tmp_path_factory.mktemp("pool")
    plan = pool.Plan("some", 6, 96, 96, first_seed=70, frames=1, framing=(0.4, 0.6), look="plain")
    pool.render(folder, (plan,), workers=1)
    return pool.Pool.opened(folder / "some")


def leaves(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)


def ground(far: float = 0.1) -> Shown:
    """A plane up to the horizon in the middle of the picture, and sky."""
    rows = np.clip(np.arange(96, dtype=np.float32) - 48, 0, None) / 48 + np.float32(far)
    inverse = np.repeat(rows[:, None], 96, axis=1)
    return Shown(np.full((96, 96, 3), 128, np.uint8), inverse, np.zeros((96, 96), np.uint8))


def test_a_figure_is_as_near_as_its_feet_and_hides_nothing_nearer(worlds: pool.Pool):
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


def test_nothing_is_pasted_where_there_is_no_ground(worlds: pool.Pool):
    before = ground()
    sky = Shown(before.picture, np.full_like(before.depth, 0.1), before.things)
    for seed in range(10):
        after = peopled(np.random.default_rng(seed), sky, worlds, leaves)
        assert np.array_equal(after.picture, sky.picture)
        assert np.array_equal(after.depth, sky.depth)


def test_shadows_only_darken():
    picture = np.random.default_rng(3).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    for seed in range(10):
        shaded = depth._shaded(np.random.default_rng(seed), picture)
        assert (shaded <= picture).all()
        assert (shaded < picture).mean() > 0.001
