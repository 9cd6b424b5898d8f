"""Grids of frames: each frame once, its structure with it, and with one cell the image model itself."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from recast.control import Control, ControlResiduals
from recast.diffusion.grids import grid_order, gridded, tiled, untiled
from recast.errors import RequestError
from recast.types import Condition


def condition_of(count, tokens=None):
    planes = torch.arange(count * 2.0).view(count, 2, 1, 1).expand(-1, -1, 3, 4)
    cond = torch.zeros(1, 1) if tokens is None else tokens
    return Condition(cond, torch.zeros(1, 1), planes, 10 + torch.arange(count))


def by_place(x, sigma, condition):
    """Each place by itself: its latents, its structure and the level."""
    return x * sigma + condition.structure_channels.sum(1, keepdim=True)


@pytest.mark.parametrize(("count", "side"), [(1, 1), (5, 1), (1, 3), (4, 2), (7, 2), (19, 3)])
def test_each_frame_has_a_cell_and_grids_are_full(count, side):
    order = grid_order(count, side, 2.0)
    assert order.shape[1] == side * side
    assert (len(order) - 1) * side * side < count
    assert sorted(order.flatten()[:count].tolist()) == list(range(count))


def test_the_order_is_drawn_at_each_level_and_from_the_seed():
    orders = [grid_order(9, 3, *each).flatten().tolist() for each in [(2.0, 0), (1.0, 0), (2.0, 1)]]
    assert orders[0] == grid_order(9, 3, 2.0, 0).flatten().tolist()
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_tiling_is_undone():
    maps = torch.randn(6, 2, 3, 4)[:4]
    assert torch.equal(untiled(tiled(maps, 2), 2), maps)
    assert torch.equal(tiled(maps, 2)[0, :, :3, 4:], maps[1])


@pytest.mark.parametrize(("count", "side"), [(5, 1), (5, 2), (4, 2), (2, 3)])
def test_what_sees_places_apart_sees_no_grid(count, side):
    """Latents and structure go to the same cell, and come back to the same frame."""
    x = torch.randn(count, 1, 3, 4)
    assert_close(gridded(by_place, side)(x, 2.0, condition_of(count)), by_place(x, 2.0, condition_of(count)))


def test_frames_of_one_grid_are_one_image():
    seen = []

    def listening(x, _sigma, condition):
        seen.append((x, condition))
        return x

    x, pictures = torch.randn(4, 1, 3, 4), torch.rand(4, 3, 24, 32)
    order = grid_order(4, 2, 2.0, 5)[0]
    gridded(listening, 2, 5)(x, 2.0, replace(condition_of(4), controls=(Control("depth", pictures, weight=0.5),)))
    (image, condition), *others = seen
    assert not others
    assert torch.equal(image, tiled(x[order], 2))
    assert torch.equal(condition.structure_channels, tiled(condition_of(4).structure_channels[order], 2))
    assert torch.equal(condition.controls[0].pictures, tiled(pictures[order], 2))
    assert condition.controls[0].weight == 0.5
    assert condition.frames.tolist() == [10 + order[0]]


def test_prompts_that_differ_by_frame_are_refused_and_no_structure_is_none():
    with pytest.raises(RequestError, match="differs by frame"):
        gridded(by_place, 2)(torch.zeros(4, 1, 3, 4), 2.0, condition_of(4, torch.zeros(4, 1, 1)))
    residuals = ControlResiduals((torch.zeros(4, 1, 3, 4),), torch.zeros(4, 1, 3, 4))
    with pytest.raises(RequestError, match="leave the residuals out"):
        gridded(by_place, 2)(torch.zeros(4, 1, 3, 4), 2.0, replace(condition_of(4), residuals=residuals))
    bare = replace(condition_of(4), structure_channels=None)
    assert (
        gridded(lambda x, _s, condition: x if condition.structure_channels is None else -x, 2)(
            torch.ones(4, 1, 3, 4), 2.0, bare
        ).min()
        == 1
    )
