"""The space-time network is the image network with something added, and nothing else."""

from copy import deepcopy

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from torch.testing import assert_close

from recast.backbones.tiny import roughen, tiny_unet
from recast.errors import ShapeError
from recast.networks.spacetime import inflate
from recast.networks.temporal import TemporalConv

CLIPS, FRAMES = 3, 5


def linear_unet():
    """As in SD 2: linear projections, heads by resolution, two layers a block, scale and shift by the timestep."""
    return UNet2DConditionModel(
        block_out_channels=(8, 16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2,
        cross_attention_dim=16,
        attention_head_dim=(1, 2, 4),
        use_linear_projection=True,
        resnet_time_scale_shift="scale_shift",
        norm_num_groups=4,
    ).eval()


@pytest.fixture(params=[tiny_unet, linear_unet])
def unet(request):
    torch.manual_seed(0)
    return request.param()


@pytest.fixture
def rough(unet):
    """As after training: no temporal weight is zero. The image weights are still the image network's."""
    net = inflate(unet, max_frames=8).eval()
    conv_in = net.unet.conv_in.weight.clone()
    roughen(net)
    net.unet.conv_in.weight.data.copy_(conv_in)
    return net


def asked(channels=4, clips=CLIPS, frames=FRAMES):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(clips, frames, channels, 4, 6, generator=generator)
    return x, torch.arange(clips) * 300 + 50, torch.randn(clips, 2, 16, generator=generator)


@torch.no_grad()
def by_image(unet, x, timestep, tokens):
    frames = x.shape[1]
    keywords = {"encoder_hidden_states": tokens.repeat_interleave(frames, 0)}
    answer = unet(x.flatten(0, 1), timestep.repeat_interleave(frames), **keywords).sample
    return answer.unflatten(0, x.shape[:2])


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("video", [False, torch.zeros(CLIPS, dtype=torch.bool)], ids=["all", "each"])
def test_image_mode_is_the_image_network_bit_for_bit(unet, rough, video, memory):
    unet.to(memory_format=memory)
    rough.to(memory_format=memory)
    answer = rough(*asked(), video=video)
    assert torch.equal(answer, by_image(unet, *asked()))
    assert not torch.allclose(answer, rough(*asked(), video=True), atol=1e-2)


@pytest.mark.parametrize("video", [True, False])
def test_it_starts_as_the_image_network(unet, video):
    assert torch.equal(inflate(unet)(*asked(), video=video), by_image(unet, *asked()))


def test_added_channels_are_ignored_at_first(unet):
    x, timestep, tokens = asked(channels=12)
    net = inflate(unet, extra_channels=8)
    assert net.unet.config.in_channels == 12
    assert unet.config.in_channels == 4
    assert_close(net(x, timestep, tokens), by_image(unet, x[:, :, :4], timestep, tokens))
    assert torch.equal(net.unet.conv_in.bias, unet.conv_in.bias)
    assert unet.conv_in.bias.abs().min() > 0


def test_every_convolution_and_transformer_is_followed(unet, rough):
    plain = dict(unet.named_modules())
    convs = {name for name in plain if ".resnets." in name and name.endswith(("conv1", "conv2"))}
    transformers = {name for name in plain if name.count(".attentions.") == 1 and name.split(".")[-1].isdigit()}
    transformers = {name for name in transformers if "transformer_blocks" not in name}
    followed = {
        name.removesuffix(".temporal") for name in dict(rough.unet.named_modules()) if name.endswith(".temporal")
    }
    assert followed == convs | transformers


def test_image_clips_in_a_mixed_batch_stay_images(unet, rough):
    video = torch.tensor([True, False, True])
    mixed, alone = rough(*asked(), video=video), rough(*asked())
    assert torch.equal(mixed[1], by_image(unet, *asked())[1])
    assert_close(mixed[video], alone[video])


def test_image_mode_does_not_know_the_order_of_frames(rough):
    x, timestep, tokens = asked()
    order = torch.tensor([3, 0, 4, 1, 2])
    assert_close(rough(x[:, order], timestep, tokens, video=False), rough(x, timestep, tokens, video=False)[:, order])
    assert not torch.allclose(rough(x[:, order], timestep, tokens), rough(x, timestep, tokens)[:, order], atol=1e-3)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_temporal_convolution_is_a_convolution_along_each_pixel(memory):
    torch.manual_seed(0)
    layer, reference = TemporalConv(4), nn.Conv1d(4, 4, 3, padding=1)
    layer.weight.data, layer.bias.data = reference.weight.data[..., None].clone(), reference.bias.data.clone()
    x = torch.randn(10, 4, 3, 2).contiguous(memory_format=memory).unflatten(0, (2, 5))
    lines = x.permute(0, 3, 4, 2, 1).flatten(0, 2)
    expected = (lines + reference(lines)).unflatten(0, (2, 3, 2)).permute(0, 4, 3, 1, 2)
    assert_close(layer(x), expected)


def test_temporal_convolution_copies_nothing_in_channels_last_memory():
    layer = TemporalConv(4).to(memory_format=torch.channels_last)
    x = torch.randn(10, 4, 3, 2).contiguous(memory_format=torch.channels_last).unflatten(0, (2, 5))
    with torch.no_grad(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        answer = layer(x)
    assert {"aten::copy_", "aten::clone", "aten::contiguous"}.isdisjoint(event.key for event in profile.key_averages())
    assert answer.stride() == x.stride()


def gradients(net, *calls):
    net.zero_grad()
    sum(net(*inputs, video=video).square().mean() for inputs, video in calls).backward()
    return {name: weight.grad for name, weight in net.named_parameters()}


def test_gradient_reaches_every_weight(rough):
    for name, gradient in gradients(rough, (asked(), True)).items():
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name


def test_at_the_start_only_what_lies_behind_a_zero_layer_has_to_wait(unet):
    waiting = {name for name, gradient in gradients(inflate(unet), (asked(), True)).items() if not gradient.abs().max()}
    assert waiting
    behind = ("temporal.norm.", "temporal.proj_in.", "temporal.position_embedding", "temporal.transformer_blocks.")
    assert all(any(part in name for part in behind) for name in waiting)


def test_gradient_checkpointing_changes_no_gradient(rough):
    # Both passes run before one backward, so each has to be computed again in its own layout.
    calls = [(asked(), True), (asked(frames=2), torch.tensor([True, False, False])), (asked(frames=1), False)]
    expected = gradients(rough.train(), *calls)
    recomputed = gradients(deepcopy(rough).enable_gradient_checkpointing(), *calls)
    assert_close(recomputed, expected)
    assert_close(gradients(rough.enable_gradient_checkpointing().disable_gradient_checkpointing(), *calls), expected)


def test_a_copy_is_another_network(rough):
    before = rough(*asked())
    copy = deepcopy(rough)
    assert torch.equal(copy(*asked()), before)
    roughen(copy)
    assert not torch.equal(copy(*asked()), before)
    with copy.temporal_context.on(None):
        assert torch.equal(rough(*asked()), before)


def test_the_switch_goes_off_after_a_pass_that_fails(unet, rough):
    x, timestep, tokens = asked()
    with pytest.raises(RuntimeError):
        rough.unet.forward(x.flatten(0, 1), timestep.repeat_interleave(FRAMES), tokens[..., :3])
    with pytest.raises(RuntimeError):
        rough(x[..., :3, :, :], timestep, tokens)
    assert torch.equal(rough(x, timestep, tokens, video=False), by_image(unet, x, timestep, tokens))


def test_half_precision_stays_near(rough):
    with torch.autocast("cpu", torch.bfloat16):
        answer = rough(*asked(), video=torch.tensor([True, False, True]))
    assert_close(answer.float(), rough(*asked(), video=torch.tensor([True, False, True])), atol=0.1, rtol=0.1)


def test_only_videos_are_limited_in_frames(rough):
    long = asked(frames=9)
    assert rough(*long, video=False).shape == (CLIPS, 9, 4, 4, 6)
    with pytest.raises(ShapeError, match="at most 8 frames at once and was given 9"):
        rough(*long)
