"""Latent-Shift's channels of neighbouring frames, and ControlVideo's attention to a key frame, as tunings."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from recast.backbones.stable_diffusion.inflated import inflated
from recast.errors import BackboneError
from recast.networks.hooks import AttentionCall, SiteKind
from recast.networks.temporal import BatchLayout, is_over_time
from recast.networks.temporal_shift import TemporalShift
from recast.tuning.adapter import read_adapter
from recast.tuning.attention import OVER_FRAMES
from recast.tuning.tuned import with_adapters
from recast.tuning.tuner import trained_parts, tune_adapter
from tuning_clips import FRAMES, cached, denoised, opened, quick


def test_an_eighth_comes_from_the_frame_before_and_one_from_the_frame_behind():
    """Which a convolution over three frames says too: its weights are a 1 in one place."""
    x = torch.randn(2, 5, 16, 3, 4, generator=torch.Generator().manual_seed(0))
    kernel = torch.zeros(16, 1, 3)
    kernel[:2, :, 0] = kernel[2:4, :, 2] = kernel[4:, :, 1] = 1
    lines = x.permute(0, 3, 4, 2, 1).reshape(-1, 16, 5)
    moved = F.conv1d(lines, kernel, padding=1, groups=16).reshape(2, 3, 4, 16, 5).permute(0, 4, 3, 1, 2)
    assert torch.equal(TemporalShift()(x), moved)
    assert torch.equal(TemporalShift()(x[:, :1]), x[:, :1])


def test_residual_blocks_shift_what_their_first_convolution_reads_and_no_more():
    backbone = opened("sd")
    plain = opened("sd").unet
    changed = inflated(backbone, FRAMES, "shifted-channels")
    assert changed.unet.state_dict().keys() == plain.state_dict().keys()
    block, other = (unet.down_blocks[0].resnets[0] for unet in (changed.unet, plain))
    x, emb = torch.randn(2 * FRAMES, 16, 4, 4), torch.randn(2 * FRAMES, 64)
    with torch.no_grad():
        assert torch.equal(block(x, emb), other(x, emb))
        with changed.motion.on(BatchLayout(FRAMES)):
            made = block(x, emb)
        read = F.silu(other.norm1(x)).unflatten(0, (2, FRAMES))
        hidden = other.conv1(TemporalShift()(read).flatten(0, 1)) + other.time_emb_proj(F.silu(emb))[:, :, None, None]
        assert_close(made, x + other.conv2(F.silu(other.norm2(hidden))))


def test_frames_see_their_neighbours_and_with_time_off_none():
    backbone = inflated(opened("sd"), 5, "shifted-channels")
    clip = cached(backbone, 5)
    alone = opened("sd")
    assert not torch.allclose(denoised(backbone, clip), denoised(alone, clip), atol=1e-3)
    assert torch.equal(denoised(backbone, cached(backbone, 1)), denoised(alone, cached(alone, 1)))


def test_a_tuning_trains_all_weights_and_its_folder_brings_the_shifts(tmp_path):
    config = quick(train="latent-shift", rate=1e-3)
    parts = trained_parts(opened("sd"), config)
    assert not parts.new
    assert parts.changes.keys() == dict(opened("sd").unet.named_parameters()).keys()
    tune_adapter(opened("sd"), cached(opened("sd")), config, tmp_path / "adapter")
    adapter = read_adapter(tmp_path / "adapter")
    assert (adapter.info.layers, adapter.info.attention, adapter.info.scales) == ("shifted-channels", "own", False)
    clip, bare = cached(opened("sd")), opened("sd")
    tuned = with_adapters(opened("sd"), [(adapter, 1.0)]).backbone
    with torch.no_grad():
        for name, weight in bare.unet.named_parameters():
            weight.copy_(tuned.unet.get_parameter(name))
    assert not torch.allclose(denoised(tuned, clip), denoised(bare, clip), atol=1e-3)
    assert torch.equal(
        denoised(with_adapters(opened("sd"), [(adapter, 0.0)]).backbone, clip), denoised(opened("sd"), clip)
    )
    with pytest.raises(BackboneError, match="has its own"):
        trained_parts(opened("gen1"), config)


def test_a_key_frame_is_all_that_frames_attend_to():
    rng = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(4, 6, 8, generator=rng) for _ in range(3))
    call = AttentionCall("a", SiteKind.SELF, (2, 3), 2, q, q, k, v, 0.5, frames=(3, 4, 5, 6))
    answer = OVER_FRAMES["first"]()(call, lambda given: given.weighted(given.probabilities()))
    maps = (q.view(4, 6, 2, 4).transpose(1, 2) @ k[0].view(6, 2, 4).permute(1, 2, 0) * 0.5).softmax(-1)
    assert_close(answer, (maps @ v[0].view(6, 2, 4).transpose(0, 1)).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("family", ["sd", "animatediff", "gen1"])
def test_controlvideo_trains_what_self_attention_is_projected_by_and_layers_over_time(family, tmp_path):
    config = quick(train="controlvideo", rate=1e-2)
    parts = trained_parts(opened(family), config)
    trained = {*parts.changes, *parts.new}
    assert trained
    assert all(is_over_time(name) or ".attn1.to_out." in name for name in trained)
    assert any(is_over_time(name) for name in trained)
    tune_adapter(opened(family), cached(opened(family)), config, tmp_path / "adapter")
    adapter = read_adapter(tmp_path / "adapter")
    assert adapter.info.attention == "first"
    tuned = with_adapters(opened(family), [(adapter, 1.0)])
    clip = cached(tuned.backbone)
    assert not torch.allclose(denoised(tuned.backbone, clip, tuned.hooks), denoised(tuned.backbone, clip), atol=1e-4)
