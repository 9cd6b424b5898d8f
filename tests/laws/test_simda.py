"""SimDA's adapters: nothing until they are trained, over neighbouring frames alone, and back from their folder."""

from copy import deepcopy

import pytest
import torch
from torch.testing import assert_close

from recast.errors import BackboneError
from recast.networks.simda import ADAPTER, TemporalAdapter
from recast.networks.temporal import is_over_time
from recast.tuning.adapter import read_adapter
from recast.tuning.tuned import attention_hooks, with_adapters
from recast.tuning.tuner import trained_parts, tune_adapter
from tuning_clips import FRAMES, cached, denoised, opened, quick


def test_a_temporal_adapter_mixes_frames_channel_by_channel_in_its_narrow_middle():
    adapter = TemporalAdapter(8)
    x = torch.randn(2, 5, 8, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(adapter(x), x)
    with torch.no_grad():
        for projection in (adapter.down, adapter.up):
            projection.bias.zero_()
            projection.weight.copy_(torch.eye(*projection.weight.shape))  # channels 0 and 1 pass, the others do not
        adapter.over_frames.bias.zero_()
        adapter.over_frames.weight.copy_(torch.tensor([[[1.0, 2.0, 3.0]], [[0.0, 0.0, 0.0]]]))
    before, after = torch.zeros_like(x[:, :1]), torch.zeros_like(x[:, :1])
    mixed = torch.cat([before, x[:, :-1]], 1) + 2 * x + 3 * torch.cat([x[:, 1:], after], 1)
    expected = x.clone()
    expected[:, :, 0] += mixed[:, :, 0]
    assert_close(adapter(x), expected)


def test_an_image_model_gets_adapters_that_change_nothing_at_first_and_no_more_is_trained():
    backbone = opened("sd")
    clip = cached(backbone)
    image = denoised(backbone, clip)
    parts = trained_parts(backbone, quick(train="simda"))
    assert torch.equal(denoised(parts.backbone, clip), image)
    assert not parts.changes
    assert all(is_over_time(name) or f".{ADAPTER}." in name for name in parts.new)
    assert {part for part in (".attn1.", ".ff.", ".temporal.") if any(part in name for name in parts.new)} == {
        *(".attn1.", ".ff.", ".temporal.")
    }
    others = trained_parts(opened("sd"), quick()).tensors().values()
    assert 5 * sum(weight.numel() for weight in parts.new.values()) < sum(tensor.numel() for tensor in others)


def test_every_tensor_is_trained_and_an_edit_has_the_network_that_was(tmp_path):
    backbone, config = opened("sd"), quick(train="simda", rate=1e-2)
    before = deepcopy(backbone.unet.state_dict())
    initial = trained_parts(opened("sd"), config).tensors()
    tune_adapter(backbone, cached(backbone), config, tmp_path / "adapter")
    assert all(torch.equal(backbone.unet.state_dict()[name], tensor) for name, tensor in before.items())
    adapter = read_adapter(tmp_path / "adapter")
    assert not [name for name, tensor in adapter.tensors.items() if torch.equal(tensor, initial[name])]
    assert (adapter.info.layers, adapter.info.attention, adapter.info.positions) == ("simda", "latent-shift", FRAMES)
    tuned = with_adapters(opened("sd"), [(adapter, 1.0)])
    clip = cached(tuned.backbone)
    trained = backbone_of(adapter)
    hooks = attention_hooks(trained, "latent-shift")
    assert_close(denoised(tuned.backbone, clip, tuned.hooks), denoised(trained, clip, hooks))
    assert not torch.allclose(denoised(tuned.backbone, clip, tuned.hooks), denoised(opened("sd"), clip), atol=1e-3)


def backbone_of(adapter):
    """The tuner's own network, with the stored tensors."""
    parts = trained_parts(opened("sd"), quick(train="simda"))
    with torch.no_grad():
        for name, weight in parts.new.items():
            weight.copy_(adapter.tensors[f"{name}:new"])
    return parts.backbone


def test_models_with_layers_over_time_are_refused():
    with pytest.raises(BackboneError, match="has its own"):
        trained_parts(opened("gen1"), quick(train="simda"))
