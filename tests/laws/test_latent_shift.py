"""Latent-shift attention: which frame each place comes from, what it leaves alone, and that a tuning has it."""

import pytest
import torch
from torch.testing import assert_close

from attention_calls import GRID, attended, call_of
from recast.errors import RequestError
from recast.networks.latent_shift import LatentShiftAttention, frames_before
from recast.tuning.adapter import read_adapter
from recast.tuning.tuned import with_adapters
from recast.tuning.tuner import tune_adapter
from tuning_clips import cached, denoised, opened, quick


def test_places_come_from_this_frame_and_the_four_before_evenly_over_every_tile():
    pattern = frames_before((8, 12)).view(8, 12)
    assert torch.equal(pattern[:4, :4], pattern[4:, 8:])
    assert torch.bincount(pattern[:4, :4].flatten()).tolist() == [3, 4, 4, 3, 2]


def test_keys_and_values_are_the_frames_own_and_those_of_places_before_or_its_own_where_there_are_none():
    call, seen = call_of(range(20, 27)), []
    answer = LatentShiftAttention()(call, lambda given: seen.append(given) or attended(given))
    [given], places = seen, GRID[0] * GRID[1]
    for own, both in ((call.k, given.k), (call.v, given.v)):
        assert torch.equal(both[:, :places], own)
        for frame in range(len(own)):
            for place, back in enumerate(frames_before(GRID).tolist()):
                assert torch.equal(both[frame, places + place], own[frame - back if frame >= back else frame, place])
    assert_close(answer[0], attended(call)[0])  # the first sees itself twice


def test_of_a_still_clip_it_is_the_layers_own_attention():
    call = call_of(range(5), still=True)
    assert_close(LatentShiftAttention()(call, attended), attended(call))


def test_a_tuning_brings_it_to_edits_and_not_beside_another_kind(tmp_path):
    for name, attention in (("shift", "latent-shift"), ("first", "first-previous")):
        tune_adapter(opened("gen1"), cached(opened("gen1")), quick(attention=attention, steps=1), tmp_path / name)
    shift, first = (read_adapter(tmp_path / name) for name in ("shift", "first"))
    assert (shift.info.attention, shift.info.scales) == ("latent-shift", False)
    tuned = with_adapters(opened("gen1"), [(shift, 1.0)])
    clip = cached(tuned.backbone)
    assert not torch.allclose(denoised(tuned.backbone, clip, tuned.hooks), denoised(tuned.backbone, clip), atol=1e-4)
    one = cached(tuned.backbone, 1)
    assert torch.equal(denoised(tuned.backbone, one, tuned.hooks), denoised(tuned.backbone, one))
    with pytest.raises(RequestError, match="as first-previous and as latent-shift"):
        with_adapters(opened("gen1"), [(shift, 1.0), (first, 1.0)])
