"""Features of one pass put into another, in any windows, and hooks in force at a part of the levels and sites."""

import re
from dataclasses import replace

import pytest
import torch

from attention_calls import attended, call_of
from recast.errors import BackboneError
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.hooks import AttentionHook, FeatureCall, FeatureHook, SiteKind
from recast.networks.recorded_features import LimitedHook, RecordFeatures, ReplayFeatures


def features(frames, seed=0, **settings):
    rng = torch.Generator().manual_seed(seed)
    usual = {"sigma": 2.0, "branch": 0, "frames": tuple(frames)}
    return FeatureCall("up.1", SiteKind.RESNET, torch.randn(len(frames), 2, 3, 4, generator=rng), **usual | settings)


def recording():
    return RecordFeatures(kind=SiteKind.RESNET, sites=re.compile(r"up\.\d"))


def test_what_was_recorded_in_windows_is_given_to_any_window():
    record = recording()
    one, two = features((4, 5, 6)), features((6, 7), seed=1)
    assert record.feature(one) is one.features
    record.feature(two)
    given = ReplayFeatures(record=record, branch=0).feature(features((5, 6, 7), seed=2, branch=3))
    assert torch.equal(given, torch.cat([one.features[1:2], two.features]))


def test_what_was_not_recorded_is_refused():
    record = recording()
    record.feature(features((4, 5)))
    for other in (features((5, 6)), features((4, 5), sigma=1.0), features((4, 5), branch=1)):
        with pytest.raises(BackboneError, match="record that pass first"):
            ReplayFeatures(record=record).feature(other)


def test_it_looks_at_its_own_sites_only():
    record = recording()
    assert record.interested("up.1", SiteKind.RESNET)
    assert not record.interested("up.1", SiteKind.BLOCK)
    assert not record.interested("up.10", SiteKind.RESNET)


def test_a_limited_hook_is_in_force_above_a_level_at_some_sites_and_sizes():
    call = call_of((1, 2))
    extended, plain = ExtendedAttention()(call, attended), attended(call)
    limited = LimitedHook(hook=ExtendedAttention(), sites=re.compile("site"), above=1.0, most_places=6)
    assert isinstance(limited, AttentionHook)
    assert torch.equal(limited(call, attended), extended)
    assert torch.equal(limited(replace(call, sigma=1.0), attended), plain)
    small = LimitedHook(hook=ExtendedAttention(), most_places=5)
    assert torch.equal(small(call, attended), plain)
    assert limited.interested("site", SiteKind.SELF)
    assert not limited.interested("other", SiteKind.SELF)
    assert not limited.interested("site", SiteKind.CROSS)


def test_a_limited_hook_on_features_leaves_attention_alone_and_the_reverse():
    record, call = recording(), call_of((1, 2))
    limited = LimitedHook(hook=ReplayFeatures(record=record), above=1.0)
    assert isinstance(limited, FeatureHook)
    assert torch.equal(limited(call, attended), attended(call))
    low = features((1, 2), sigma=0.5)
    assert limited.feature(low) is low.features
    assert LimitedHook(hook=ExtendedAttention()).feature(low) is low.features
