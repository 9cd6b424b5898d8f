"""Structure of a clip that is seen in parts: quantiles that are counted, and maps that go on from those before."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch.testing import assert_close

from recast.conditions.clip_scale import ValueCounts, exact_scale
from recast.conditions.depth import DepthExtractor, aligned, standardized
from recast.conditions.edges import EdgeExtractor
from recast.model.folder import ModelFolder
from recast.types import Clip
from recast.video.read import Window, opened, read
from tiny_folder import clip_folder, written

FRAMES = 19


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Clip:
    folder = clip_folder(tmp_path_factory.mktemp("clip") / "source", frames=FRAMES)
    return read(opened(folder), Window(size=(32, 40)))


@settings(max_examples=20)
@given(some.lists(some.floats(-1e6, 1e6, width=32), min_size=1, max_size=200), some.integers(1, 5))
def test_counted_quantiles_lie_beside_the_exact_ones_however_values_come(values, parts):
    tensor, shares, counts = torch.tensor(values), (0.01, 0.5, 0.99), ValueCounts()
    for part in tensor.chunk(parts):
        counts.add(part)
    found, exact = counts.scale(shares), exact_scale(tensor, shares)
    assert (found.least, found.most) == (exact.least, exact.most)
    ranked = np.sort(tensor.numpy().astype(float))
    for share, quantile in zip(shares, found.quantiles, strict=True):
        place = share * (len(ranked) - 1)
        low, high = ranked[int(np.floor(place))], ranked[int(np.ceil(place))]
        slack = 1e-3 * max(abs(low), abs(high)) + 1e-30
        assert low - slack <= quantile <= high + slack


@pytest.mark.parametrize("reach", [0, 2])
def test_depth_measured_in_parts_is_depth_measured_whole(clip, tmp_path, reach):
    opened_depth = DepthExtractor.opened(ModelFolder.found(str(written(tmp_path / "model"))), torch.device("cpu"))
    depth, frames = dataclasses.replace(opened_depth, reach=reach, chunk=3), clip.frames
    whole = depth.measured(frames, slice(0, FRAMES))
    assert_close(whole, aligned(standardized(depth.predicted(frames))), atol=1e-5, rtol=1e-5)
    before, parts = None, []
    for start in range(0, FRAMES, 5):
        parts.append(depth.measured(frames, slice(start, min(start + 5, FRAMES)), before))
        before = parts[-1][-1]
    assert_close(torch.cat(parts), whole, atol=1e-5, rtol=1e-5)


def test_edges_measured_in_parts_are_those_of_the_clip(clip):
    edges, counts = EdgeExtractor(), ValueCounts()
    parts = [edges.measured(clip.frames, slice(start, start + 5)) for start in range(0, FRAMES, 5)]
    for part in parts:
        counts.add(edges.values(part))
    found = torch.cat([edges.scaled(part, counts.scale(edges.shares)).maps for part in parts])
    assert (found != edges(clip).maps).float().mean() < 1e-2  # thresholds are .05 % apart
