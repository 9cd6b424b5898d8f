"""FRESCO's attention and features: what each comes to where the source's correspondences are simple."""

import re
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch.testing import assert_close

from attention_calls import GRID, HEADS, WIDTH, attended, call_of
from editor_inputs import inputs_of, opened_depth
from recast.conditions.correspondence import ConsistentFeatures, CorrespondenceAttention, correlations
from recast.errors import RequestError
from recast.methods.fresco import FRESCO
from recast.networks.attention_recipes import ExtendedAttention, ReferenceAttention, Trajectories, anchored
from recast.networks.hooks import FeatureCall, SiteKind, heads_split
from recast.networks.recorded_attention import RecordAttention
from recast.networks.recorded_features import RecordFeatures

NUMBERS = (10, 11, 12)
PLACES, COUNT = GRID[0] * GRID[1], len(NUMBERS)


def paths(reached):
    """Each place on a path that stands still, seen in these frames."""
    places = repeat(torch.arange(PLACES), "p -> p t", t=COUNT)
    return lambda _grid: Trajectories.of_paths(places, reached.expand(PLACES, -1), NUMBERS, GRID)


EVERYWHERE, NOWHERE = paths(torch.ones(1, COUNT, dtype=torch.bool)), paths(torch.zeros(1, COUNT, dtype=torch.bool))


def seen(q, k):
    """The record of a source with these queries and keys."""
    record = RecordAttention(parts=("q", "k"))
    record(replace(call_of(NUMBERS), q=q, k=k), attended)
    return record


def unmistakable():
    """A source whose places are like themselves alone."""
    each = 1e3 * F.normalize(torch.randn(COUNT, PLACES, HEADS, WIDTH // HEADS), dim=-1)
    flat = rearrange(each, "t p h d -> t p (h d)")
    return seen(flat, flat)


def at_place(x):
    return rearrange(x, "t p (h d) -> p h t d", h=HEADS)


def test_without_correspondences_it_is_attention_to_all_frames():
    call = call_of(NUMBERS)
    hook = CorrespondenceAttention(source=unmistakable(), trajectories=NOWHERE)
    assert_close(hook(call, attended), ExtendedAttention()(call, attended))


@pytest.mark.parametrize("sharpness", [FRESCO().sharpness, 5.0])
def test_what_stays_is_asked_of_the_first_frame_and_mixed_by_the_layers_own_likeness(sharpness):
    call = call_of(NUMBERS)
    hook = CorrespondenceAttention(source=unmistakable(), trajectories=EVERYWHERE, sharpness=sharpness)
    first = ReferenceAttention(anchored(10))(call, attended)
    q, k, v = map(at_place, (call.q, call.k, first))
    mixed = F.scaled_dot_product_attention(q, k, v, scale=sharpness * call.scale)
    assert_close(hook(call, attended), rearrange(mixed, "p h t d -> t p (h d)"))


def test_as_published_likeness_is_divided_by_five():
    """lambda_s and lambda_t of the paper: it mixes more places than the layer's own attention does, not fewer."""
    call, alike = call_of(NUMBERS), 0.5 * call_of(NUMBERS, seed=1).q
    hook = CorrespondenceAttention(source=seen(alike, alike), trajectories=NOWHERE, sharpness=FRESCO().sharpness)
    likeness, q = (heads_split(each, HEADS) for each in (alike, call.q))
    mean = rearrange((likeness @ likeness.mT * call.scale / 5).softmax(-1) @ q, "t h p d -> t p (h d)")
    assert_close(hook(call, attended), ExtendedAttention()(replace(call, q=mean), attended))


def test_queries_are_means_over_places_that_are_alike_in_the_source():
    """A source of one value everywhere: all places ask the mean question, so all are answered alike."""
    call, alike = call_of(NUMBERS), torch.ones(COUNT, PLACES, WIDTH)
    hook = CorrespondenceAttention(source=seen(alike, alike), trajectories=NOWHERE)
    mean = call.q.mean(1, keepdim=True).expand_as(call.q)
    assert_close(hook(call, attended), ExtendedAttention()(replace(call, q=mean), attended))


def features_of(seed, still=False):
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randn(1 if still else COUNT, 5, *GRID, generator=rng)
    return drawn.expand(COUNT, -1, -1, -1).contiguous()


def moving(source, **knobs):
    record = RecordFeatures(kind=SiteKind.BLOCK, sites=re.compile("site"))
    record.feature(FeatureCall("site", SiteKind.BLOCK, source, 2.0, 0, NUMBERS))
    hook = ConsistentFeatures(source=record, trajectories=EVERYWHERE, **knobs)
    return lambda features, branch=1: hook.feature(FeatureCall("site", SiteKind.BLOCK, features, 2.0, branch, NUMBERS))


def test_features_that_correspond_as_the_sources_do_stay_and_others_come_nearer():
    source = features_of(0, still=True)
    moved = moving(source)
    assert_close(moved(source), source, atol=1e-4, rtol=1e-4)
    other = features_of(1)
    nearer, steadier = moved(other), moving(source, spatial_weight=0.0)(other)
    apart, before = ((correlations(each) - correlations(source)).norm() for each in (nearer, other))
    assert apart < 0.7 * before
    assert steadier.diff(dim=0).abs().mean() < 0.7 * other.diff(dim=0).abs().mean()
    for made in (nearer, steadier):  # their colours, so to say, are kept
        assert_close(made.mean((-2, -1)), other.mean((-2, -1)))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return opened_depth(tmp_path_factory.mktemp("model"))


def test_fresco_of_a_still_clip_is_one_picture_and_its_parts_matter(backbone):
    still = FRESCO(keyframe_every=1)(inputs_of(backbone, frames=3, still=True, steps=3), backbone)
    assert_close(still, still[:1].expand_as(still), atol=1e-3, rtol=1e-3)
    inputs = inputs_of(backbone, frames=3, steps=3)
    whole = FRESCO(keyframe_every=1)(inputs, backbone)
    for part in ({"moved_until": 0.0}, {"sharpness": 5.0}):
        assert not torch.allclose(FRESCO(keyframe_every=1, **part)(inputs, backbone), whole, atol=1e-3)
    with pytest.raises(RequestError, match="3 keyframes and a window of 2"):
        FRESCO(keyframe_every=1)(replace(inputs, window=2), backbone)
