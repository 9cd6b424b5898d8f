"""EI2's two attentions: what hands on no mean and bounds what it adds, and what sees all frames, others coarsely."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from einops import rearrange
from torch import nn
from torch.testing import assert_close

from attention_calls import GRID, WIDTH, attended, call_of
from recast.errors import BackboneError
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.fine_coarse import FineCoarseAttention, coarse
from recast.networks.shift_restricted import NormalizedLinear, ShiftRestrictedAttention, spectral_norm
from recast.tuning.adapter import read_adapter
from recast.tuning.tuned import with_adapters
from recast.tuning.tuner import trained_parts, tune_adapter
from tuning_clips import FRAMES, cached, denoised, opened, quick


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained_layer(size=1.0):
    """A layer whose last map is no longer zero."""
    torch.manual_seed(0)
    layer = ShiftRestrictedAttention(8, heads=2)
    nn.init.normal_(layer.to_out.weight, std=size)
    return layer.requires_grad_(False)


MOVING = draw(2, 5, 8, 3, 4)
STILL = draw(2, 1, 8, 3, 4, seed=1).expand(-1, 5, -1, -1, -1)


@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (64, 16)])
def test_the_power_method_finds_the_largest_singular_value(shape):
    weight = draw(*shape)
    assert_close(spectral_norm(weight), torch.linalg.matrix_norm(weight, 2), rtol=0.03, atol=0)
    assert spectral_norm(torch.zeros(shape)) == 0


def test_a_normalized_map_makes_nothing_longer_and_forgets_its_matrixs_size():
    x, layer = draw(100, 8), NormalizedLinear(8).requires_grad_(False)
    plain = layer(x)
    assert (plain.norm(dim=1) <= 1.03 * x.norm(dim=1)).all()
    layer.weight.mul_(50)
    assert_close(layer(x), plain, atol=1e-5, rtol=1e-5)
    below = NormalizedLinear(8, below=True).requires_grad_(False)
    below.weight.copy_(0.3 * torch.eye(8))
    assert_close(below(x), 0.3 * x)


def test_a_new_layer_changes_nothing_and_afterwards_no_offset_of_all_features_matters():
    assert torch.equal(ShiftRestrictedAttention(8, heads=2)(MOVING), MOVING)
    layer, offset = trained_layer(), draw(8, 1, 1, seed=2)
    added = layer(MOVING) - MOVING
    assert added.abs().mean() > 0.01
    assert_close(layer(MOVING + offset) - MOVING - offset, added, atol=1e-5, rtol=1e-4)


def test_of_a_still_clip_neither_the_mean_moves_nor_more_is_added_than_features_differ_by():
    """Layer normalization in the centring's place would add as much to features that hardly differ."""
    layer = trained_layer(size=30.0)
    added = layer(STILL) - STILL
    assert_close(added.mean((1, 3, 4)), torch.zeros(2, 8), atol=1e-5, rtol=0)
    centred = STILL - STILL.mean((1, 3, 4), keepdim=True)
    assert (added.norm(dim=2) <= 1.06 * centred.norm(dim=2)).all()
    assert_close(layer(0.01 * STILL) - 0.01 * STILL, 0.01 * added, atol=1e-6, rtol=1e-3)


def test_frames_are_mixed_place_by_place():
    layer, other = trained_layer(), MOVING.clone()
    other[:, 2, :, 1, 1], other[:, 2, :, 1, 2] = MOVING[:, 2, :, 1, 2], MOVING[:, 2, :, 1, 1]
    differs = (layer(other) - layer(MOVING)).abs().amax((0, 1, 2)) > 1e-4  # the clip's mean is the same
    assert differs.nonzero().tolist() == [[1, 1], [1, 2]]


def test_keys_and_values_are_the_frames_own_and_the_block_means_of_all_others():
    call, seen = call_of(range(20, 24)), []
    FineCoarseAttention()(call, lambda given: seen.append(given) or attended(given))
    [given], places = seen, GRID[0] * GRID[1]
    for own, all_ in ((call.k, given.k), (call.v, given.v)):
        assert torch.equal(all_[:, :places], own)
        rows = rearrange(own, "f (y x) e -> f y x e", y=GRID[0])
        for frame in range(4):
            means = [rows[other, :2, x : x + 2].mean((0, 1)) for other in range(4) if other != frame for x in (0, 2)]
            assert_close(all_[frame, places:], torch.stack(means))


def test_in_other_frames_only_blocks_are_told_apart_and_in_ones_own_places_are():
    """Where extended attention tells all places of all frames apart."""
    call = call_of(range(3))
    rows = rearrange(call.v.clone(), "f (y x) e -> f y x e", y=GRID[0])
    rows[1, :, :2] = rows[1, :, :2].flip(0, 1)
    swapped = replace(call, v=rearrange(rows, "f y x e -> f (y x) e"))
    for hook, alike in ((FineCoarseAttention(), [True, False, True]), (ExtendedAttention(), 3 * [False])):
        before, after = hook(call, attended), hook(swapped, attended)
        assert [torch.allclose(one, two, atol=1e-6) for one, two in zip(before, after, strict=True)] == alike


def test_an_odd_edge_is_blocks_of_fewer_places_and_projections_may_come_before_or_behind():
    places, project = draw(2, 15, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False).requires_grad_(False)
    means = coarse(places, (3, 5))
    assert means.shape == (2, 6, WIDTH)
    assert_close(means[:, -1], places[:, -1])
    assert_close(coarse(project(places), (3, 5)), project(means))


def test_a_frame_alone_has_its_own_attention():
    call = call_of([4])
    assert torch.equal(FineCoarseAttention()(call, attended), attended(call))


def test_every_tensor_is_trained_and_an_edit_has_the_layers_and_the_attention(tmp_path):
    backbone, config = opened("sd"), quick(train="ei2", rate=1e-2)
    before, image = deepcopy(backbone.unet.state_dict()), denoised(backbone, cached(backbone))
    first = trained_parts(opened("sd"), config)
    assert torch.equal(denoised(first.backbone, cached(first.backbone)), image)
    assert {name.rsplit(".", 2)[1] for name in first.new} == {"to_q", "to_k", "to_v", "to_out"}
    assert first.changes.keys() == {
        name for name in before if name.endswith(("attn1.to_q.weight", "attn2.to_q.weight"))
    }
    tune_adapter(backbone, cached(backbone), config, tmp_path / "adapter")
    assert all(torch.equal(backbone.unet.state_dict()[name], tensor) for name, tensor in before.items())
    adapter, initial = read_adapter(tmp_path / "adapter"), first.tensors()
    assert not [name for name, tensor in adapter.tensors.items() if torch.equal(tensor, initial[name])]
    info = adapter.info
    assert (info.layers, info.attention, info.positions) == ("shift-restricted", "fine-coarse", FRAMES)
    tuned = with_adapters(opened("sd"), [(adapter, 1.0)])
    clip = cached(tuned.backbone)
    plain, hooked = (denoised(tuned.backbone, clip, hooks) for hooks in ((), tuned.hooks))
    assert not torch.allclose(plain, hooked, atol=1e-4)
    assert not torch.allclose(plain, image, atol=1e-3)


def test_models_with_layers_over_time_are_refused():
    with pytest.raises(BackboneError, match="has its own"):
        trained_parts(opened("gen1"), quick(train="ei2"))
