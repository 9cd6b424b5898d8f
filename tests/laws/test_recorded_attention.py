"""Attention that was recorded in one pass can be replayed in another."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from hooked_backbone import FRAMES, CallRecord, asked, conditioned, noisy
from recast.backbones.tiny import tiny
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.diffusion.windows import windowed
from recast.errors import BackboneError
from recast.networks.hooks import SiteKind
from recast.networks.recorded_attention import RecordAttention, ReplayAttention


@pytest.fixture(scope="module")
def backbone():
    return tiny(1)


@pytest.fixture(scope="module")
def condition(backbone):
    return conditioned(backbone, FRAMES)


@pytest.mark.parametrize("parts", [("q", "k", "v"), ("answer",)])
def test_recorded_and_replayed_attention_is_the_same(backbone, condition, parts):
    record = RecordAttention(parts=parts)
    first = asked(backbone, condition, record)
    assert_close(asked(backbone, condition, ReplayAttention(record=record, parts=parts)), first, rtol=0, atol=0)


def test_replayed_answers_make_the_content_count_for_nothing(backbone, condition):
    record = RecordAttention(parts=("answer",), kinds=frozenset({SiteKind.CROSS}))
    first = asked(backbone, condition, record)
    other = replace(condition, cond=-condition.cond)
    replay = ReplayAttention(record=record, parts=("answer",))
    assert_close(asked(backbone, other, replay), first, rtol=0, atol=0)
    assert not torch.allclose(asked(backbone, other)[2], first[2])


def test_maps_weigh_values_to_the_kernels_answer(backbone, condition):
    record = RecordAttention(parts=("probabilities",))
    first = asked(backbone, condition, record)
    replay = ReplayAttention(record=record, parts=("probabilities",))
    assert_close(asked(backbone, condition, replay), first, rtol=1e-5, atol=1e-5)
    for windows in record.calls.values():
        for parts in windows.values():
            assert_close(parts["probabilities"].sum(-1), torch.ones(()).expand(parts["probabilities"].shape[:-1]))


def test_frames_of_a_record_are_found_one_by_one(backbone, condition):
    """Spatial attention of frame 12 alone replays what was recorded of it in the whole clip."""
    record = RecordAttention(parts=("answer",), kinds=frozenset({SiteKind.SELF}))
    asked(backbone, condition, record)
    last, seen = condition.at(torch.tensor([2])), CallRecord(SiteKind.SELF)
    replay = ReplayAttention(record=record, parts=("answer",), branch=0)
    with backbone.hooked(replay, seen):
        backbone.denoise_branches(noisy()[:1], 2.0, last, [Branch(last.cond)])
    assert not seen.calls  # the replay outside answered
    with backbone.hooked(seen, replay):
        backbone.denoise_branches(noisy()[:1], 2.0, last, [Branch(last.cond)])
    site = seen.calls[0].site
    kept = record.part("answer", site=site, sigma=2.0, branch=0, frames=(12,))
    assert torch.equal(kept[0], record.calls[site, 2.0, 0][10, 11, 12]["answer"][2])


def layer_at(backbone, site):
    """The projections of a layer, by the names of what they make."""
    layer = backbone.net.unet.get_submodule(site)
    return {"q": layer.to_q, "k": layer.to_k, "v": layer.to_v}


def test_of_the_recorded_input_a_layer_of_self_attention_makes_its_queries_keys_and_values(backbone, condition):
    record = RecordAttention(parts=("hidden", "q", "k", "v"), kinds=frozenset({SiteKind.SELF}))
    first = asked(backbone, condition, record)
    assert {branch for _, _, branch in record.calls} == {0, 1, 2}
    for site, sigma, branch in record.calls:
        whole = {"site": site, "sigma": sigma, "branch": branch, "frames": (10, 11, 12)}
        hidden = record.part("hidden", **whole)
        for name, projection in layer_at(backbone, site).items():
            assert torch.equal(projection(hidden), record.part(name, **whole))
    assert_close(first, asked(backbone, condition), rtol=1e-5, atol=1e-5)


def test_the_input_is_recorded_and_cannot_be_replayed():
    with pytest.raises(BackboneError, match="hidden cannot be replayed; the parts are q, k, v, probabilities, answer"):
        ReplayAttention(record=RecordAttention(), parts=("k", "hidden"))


def test_frames_are_asked_for_in_any_order_but_of_temporal_attention_only_as_seen(backbone, condition):
    record = RecordAttention(parts=("q",))
    asked(backbone, condition, record)
    for (site, sigma, branch), windows in record.calls.items():
        whole = windows[10, 11, 12]["q"]
        where = {"site": site, "sigma": sigma, "branch": branch}
        assert record.part("q", **where, frames=(10, 11, 12)) is whole
        if record.site_kinds[site] is SiteKind.TEMPORAL:
            with pytest.raises(BackboneError, match="no q was recorded"):
                record.part("q", **where, frames=(12, 10))
        else:
            assert torch.equal(record.part("q", **where, frames=(12, 10)), whole[[2, 0]])


def test_what_was_not_recorded_is_refused(backbone, condition):
    replay = ReplayAttention(record=RecordAttention())
    with pytest.raises(BackboneError, match=r"no q was recorded at down_blocks.* sigma 2.0.*record that pass first"):
        asked(backbone, condition, replay)


def test_windows_keep_the_frames_numbers(backbone):
    condition, calls, x = conditioned(backbone, 6), CallRecord(SiteKind.TEMPORAL), noisy(6)
    denoise = windowed(guided(backbone.denoise_branches, 3.0), 4, 2)
    record = RecordAttention()
    with backbone.hooked(record, calls):
        first = denoise(x, 2.0, condition)
    assert {call.frames for call in calls.calls} == {(10, 11, 12, 13), (12, 13, 14, 15)}
    with backbone.hooked(ReplayAttention(record=record)):
        assert torch.equal(denoise(x, 2.0, condition), first)
    assert torch.equal(denoise(x, 2.0, condition), first)
