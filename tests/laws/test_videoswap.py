"""Semantic points: where they go, what is added for them, and what an edit with them comes to."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from editor_inputs import inputs_of, opened_depth
from recast.conditions.flow import ClipFlow
from recast.conditions.semantic_points import PointPaths, SemanticPoints
from recast.errors import RequestError
from recast.methods.videoswap import VideoSwap
from recast.networks.hooks import FeatureCall, SiteKind

# The tiny network's random weights are hard to invert, which methods that invert warn of.
pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
SITE = "down_blocks.0"


def shifting(right, down, steps=3, size=(24, 32)):
    forward = torch.tensor([float(right), float(down)]).reshape(1, 2, 1, 1).expand(steps, 2, *size).contiguous()
    return ClipFlow(forward, -forward)


def paths_of(points, flow=None):
    flow = flow or shifting(0, 0)
    return PointPaths.followed(points, flow, range(1 + len(flow.forward)))


def call_of(features):
    return FeatureCall(SITE, SiteKind.BLOCK, features, frames=tuple(range(len(features))))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return opened_depth(tmp_path_factory.mktemp("model"))


def test_points_go_along_with_the_flow_until_they_leave():
    paths = paths_of([(0.5, 0.5), (0.9, 0.5)], shifting(4, 1))
    steps = torch.arange(4).reshape(1, 4, 1) * torch.tensor([4.0, 1.0])
    assert_close(paths.places, torch.tensor([[[15.5, 11.5]], [[28.3, 11.5]]]) + steps)
    assert paths.seen.tolist() == [[True] * 4, [True, False, False, False]]


def test_a_point_is_shared_out_among_the_four_places_around_it():
    shares = paths_of([(0.5, 0.5), (0.25 + 1 / 16, 0.5)]).shares([0], (4, 8))[0]
    assert_close(shares.sum(dim=(1, 2)), torch.ones(2))
    assert_close(shares[0, 1:3, 3:5], torch.full((2, 2), 0.25))
    assert_close(shares[1, 1:3, 2], torch.full((2,), 0.5))


def test_hidden_points_are_nowhere():
    assert paths_of([(0.9, 0.5)], shifting(4, 0)).shares([1, 2, 3], (6, 8)).abs().max() == 0


def test_a_point_is_described_by_the_features_at_its_places():
    paths = paths_of([(0.25, 0.5)], shifting(8, 0))
    columns = torch.arange(32.0)
    features = torch.stack([columns, columns.flip(0), columns.square()]).reshape(1, 3, 1, 32).expand(4, 3, 24, 32)
    at = torch.tensor([7.5, 15.5, 23.5, 31.5])[paths.seen[0]]
    squares = ((at - 0.5).square() + (at + 0.5).square()) / 2
    expected = torch.stack([at.mean(), 31 - at.mean(), squares.mean()])
    assert_close(paths.embedded(features), torch.nn.functional.layer_norm(expected[None], (3,)), **CLOSE)


def test_what_is_added_begins_at_nothing_and_then_lies_at_the_points_that_are_kept():
    points = SemanticPoints(
        torch.randn(2, 5, generator=torch.Generator().manual_seed(0)), paths_of([(0.1, 0.5), (0.9, 0.5)])
    )
    features = torch.zeros(4, 6, 4, 10)
    assert torch.equal(points.feature(call_of(features)), features)
    with torch.no_grad():
        points.layers[SITE][1].normal_(generator=torch.Generator().manual_seed(1))
    added = points.feature(call_of(features)).detach()
    assert min(added[..., :3].abs().sum(), added[..., 7:].abs().sum()) > 0
    assert added[..., 3:7].abs().sum() == 0
    first = replace(points, kept=torch.tensor([True, False])).feature(call_of(features)).detach()
    assert torch.equal(first[..., :3], added[..., :3])
    assert first[..., 7:].abs().sum() == 0
    assert_close(replace(points, weight=0.5).feature(call_of(features)).detach(), added / 2)


def test_without_weight_points_change_nothing_and_with_it_only_in_their_share_of_the_walk(backbone):
    inputs = inputs_of(backbone, steps=3)
    knobs = {"points": "0.3,0.5; 0.6,0.6", "fit_iterations": 3, "fit_rate": 0.1, "point_drop": 0.0}
    plain = VideoSwap()(inputs, backbone)
    assert torch.equal(VideoSwap(**knobs, point_weight=0.0)(inputs, backbone), plain)
    assert torch.equal(VideoSwap(**knobs, points_until=0.0)(inputs, backbone), plain)
    made = VideoSwap(**knobs)(inputs, backbone)
    assert not torch.allclose(made, plain, atol=1e-3)
    assert torch.equal(VideoSwap(**knobs)(inputs, backbone), made)


def test_the_fit_makes_the_clip_likelier(backbone):
    """At levels and noise that it was not fitted on."""
    inputs = inputs_of(backbone, steps=3)
    clean, condition = backbone.encode(inputs.clip.frames), inputs.source
    method = VideoSwap(
        points="0.3,0.5; 0.6,0.6; 0.5,0.2", fit_iterations=40, fit_rate=3e-3, point_drop=0.0, point_weight=1.0
    )
    inverted = method.inverted(inputs, backbone, method.denoiser(inputs, backbone, 1.0))
    look = method.guided(inputs, backbone, 1.0)
    flow = ClipFlow.of(inputs.clip.frames)
    (acting,) = method._acting(inverted, backbone, look, flow)

    def loss():
        levels = backbone.sigmas(100)[5:50:9]
        noisy = [(clean + s * inputs.noise(clean, 500 + i), s) for i, s in enumerate(levels)]
        errors = [(look(x, s, condition) - clean) / s for x, s in noisy]
        return torch.stack([error.square().mean() for error in errors]).mean()

    with torch.no_grad():
        before = loss()
        with backbone.hooked(acting.hook):
            assert loss() < before


@pytest.mark.parametrize(("points", "wrong"), [("0.5", "which is none"), ("0.5,1.5", "must lie in the frame")])
def test_what_is_no_point_is_refused(points, wrong):
    with pytest.raises(RequestError, match=wrong):
        VideoSwap(points=points)
