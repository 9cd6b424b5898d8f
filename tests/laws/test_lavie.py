"""LaVie of its authors' weights: an image UNet with attention over time in each block, norms over whole clips."""

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch.testing import assert_close
from transformers.models.t5.modeling_t5 import T5Attention

from lavie_folder import lavie_weights, write_lavie
from modelscope_folder import write_modelscope
from pipelines import drawn, opened
from recast.backbones.lavie import LaVieBackbone
from recast.backbones.lavie.layers import ClipNorm, OverTime, RelativeAttention, distance_buckets
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.denoising import Branch
from recast.networks.temporal import BatchLayout, TemporalContext
from recast.types import Condition

SHAPE = (5, 4, 4, 6)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_lavie(tmp_path_factory.mktemp("lavie") / "model")


@pytest.fixture(scope="module")
def backbone(path):
    return opened(path)


def answered(backbone, latents, sigma=3.0, *, temporal=True):
    content = [ContentInput(Medium.WORDS, "a red ball")]
    condition = Condition(backbone.encode_content(content), backbone.null_tokens())
    with torch.no_grad():
        return backbone.denoise_branches(latents, sigma, condition, [Branch(condition.cond, temporal=temporal)])[0]


def test_a_checkpoint_of_the_authors_names_opens_as_lavie(backbone):
    assert type(backbone) is LaVieBackbone
    assert (backbone.metadata.fps, backbone.metadata.cfg_scale, backbone.metadata.steps) == (8, 7.5, 50)
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    bars = (1 - betas).cumprod(0)
    assert_close(backbone.schedule.sigmas, ((1 - bars) / bars).sqrt(), rtol=1e-4, atol=0)


def test_distances_have_the_buckets_of_t5():
    """Which is where they come from: of keys from queries, both directions apart."""
    frames = torch.arange(80)
    distances = frames[None] - frames[:, None]
    theirs = T5Attention._relative_position_bucket(distances, bidirectional=True, num_buckets=32, max_distance=32)
    assert torch.equal(distance_buckets(distances), theirs)


def test_attention_over_time_is_the_formulas():
    """Softmax of q R(j - i) k / sqrt(d) + bias of the bucket of j - i, with R a rotation of pairs by frequency."""
    torch.manual_seed(0)
    heads, d, rotary, t = 2, 8, 4, 6
    layer = RelativeAttention(heads * d, heads=heads, rotary=rotary).double()
    torch.nn.init.normal_(layer.to_out.weight)
    x = torch.randn(3, t, heads * d, dtype=torch.float64)
    q, k, v = (to(x).view(3, t, heads, d) for to in (layer.to_q, layer.to_k, layer.to_v))
    expected = torch.zeros(3, t, heads, d, dtype=torch.float64)
    for i in range(t):
        scores = torch.zeros(3, heads, t, dtype=torch.float64)
        for j in range(t):
            turned = k[:, j].clone()
            for pair in range(rotary // 2):
                angle = torch.tensor((j - i) * 10_000 ** (-2 * pair / rotary), dtype=torch.float64)
                a, b = k[:, j, :, 2 * pair], k[:, j, :, 2 * pair + 1]
                turned[..., 2 * pair] = a * angle.cos() - b * angle.sin()
                turned[..., 2 * pair + 1] = a * angle.sin() + b * angle.cos()
            bucket = distance_buckets(torch.tensor([[j - i]]))[0, 0]
            scores[..., j] = (q[:, i] * turned).sum(-1) / d**0.5 + layer.distance_bias.weight[bucket]
        expected[:, i] = torch.einsum("nhj,njhd->nhd", scores.softmax(-1), v)
    # The library turns by frequencies of single precision.
    assert_close(layer(x), layer.to_out(expected.flatten(2)), atol=1e-5, rtol=1e-5)


def test_a_layer_over_time_is_the_identity_until_it_is_trained():
    layer, x = OverTime(16, heads=2, rotary=4), drawn(6, 5, 16, seed=0)
    assert torch.equal(layer(x, 3), x)


def test_norms_are_over_all_frames_of_a_clip():
    motion, norm, x = TemporalContext(), torch.nn.GroupNorm(4, 8), drawn(6, 8, 3, 5, seed=0) * 3 + 1
    expected = [F.group_norm(clip.transpose(0, 1)[None], 4, norm.weight, norm.bias)[0] for clip in x.split(3)]
    plain = norm(x)
    norm.__class__, norm.motion = ClipNorm, motion
    assert torch.equal(norm(x), plain)
    with motion.on(BatchLayout(3)):
        assert_close(norm(x), torch.cat([clip.transpose(0, 1) for clip in expected]))


def test_with_time_off_it_is_the_image_network_bit_for_bit(path, backbone):
    """So is a clip of one frame: images, in its training, met neither the others' norms nor attention over time."""
    latents = drawn(*SHAPE, seed=1)
    plain = opened(path.with_name("model-like"))
    with torch.no_grad():
        asked = (torch.tensor([500.0]).expand(5), drawn(5, 7, 16, seed=2))
        assert torch.equal(backbone.unet(latents, *asked).sample, plain.unet(latents, *asked).sample)
    assert torch.equal(answered(backbone, latents[:1]), answered(backbone, latents[:1], temporal=False))
    assert not torch.equal(answered(backbone, latents), answered(backbone, latents, temporal=False))


def test_it_knows_the_order_of_frames_and_modelscope_does_not(tmp_path, backbone):
    """A clip with two frames exchanged is not its clip with them exchanged; where layers know no positions, it is."""
    latents, order = drawn(*SHAPE, seed=1), [3, 1, 2, 0, 4]
    forwards, exchanged = answered(backbone, latents), answered(backbone, latents[order])[order]
    assert (forwards - exchanged).abs().max() > 1e-3 * forwards.abs().max()
    # Convolutions over time tell neighbours; with those silenced, ModelScope's attention over time alone is left.
    other = opened(write_modelscope(tmp_path / "modelscope"))
    with torch.no_grad():
        for name, weight in other.unet.named_parameters():
            if "temporal.layer.conv4" in name:
                weight.zero_()
    assert_close(answered(other, latents[order])[order], answered(other, latents), atol=1e-5, rtol=1e-5)


def test_one_frame_moves_the_others_by_norms_alone(path):
    """With its attention over time silenced, a clip's norms still tie its frames."""
    backbone = opened(path)
    with torch.no_grad():
        for name, weight in backbone.unet.named_parameters():
            if "over_time.attn.to_out" in name:
                weight.zero_()
    latents = drawn(*SHAPE, seed=1)
    changed = latents.clone()
    changed[0] *= 4
    assert (answered(backbone, latents)[1:] - answered(backbone, changed)[1:]).abs().max() > 1e-3
    off = [answered(backbone, each, temporal=False)[1:] for each in (latents, changed)]
    assert torch.equal(*off)


def test_a_block_attends_over_time_between_its_words_and_its_mlp(backbone):
    block = next(block for block in backbone.unet.modules() if hasattr(block, "over_time"))
    x, words = drawn(4, 6, 16, seed=3), drawn(4, 7, 16, seed=4)
    with torch.no_grad(), backbone.motion.on(BatchLayout(2)):
        seen = x + block.attn1(block.norm1(x))
        seen = seen + block.attn2(block.norm2(seen), encoder_hidden_states=words)
        seen = block.over_time(seen, 2)
        assert_close(block(x, encoder_hidden_states=words), seen + block.ff(block.norm3(seen)))


def refused(tmp_path, capsys, weights, like):
    file = tmp_path / "refused.safetensors"
    save_file({name: weight.contiguous() for name, weight in weights.items()}, file)
    assert run(["models", "import", str(file), "-o", str(tmp_path / "none"), "--like", str(like)]) == 3
    assert not (tmp_path / "none").exists()
    return capsys.readouterr().err


def test_weights_that_are_not_all_of_it_are_refused_in_a_line(tmp_path, capsys):
    like = write_stable_diffusion(tmp_path / "like")
    weights = lavie_weights(like)
    without = {name: weight for name, weight in weights.items() if not name.endswith("attn_temp.to_k.weight")}
    assert "lacks 4 weights of temporal" in refused(tmp_path, capsys, without, like)
    without = {name: weight for name, weight in weights.items() if name != "conv_in.weight"}
    assert "lacks 1 weights of unet, such as conv_in.weight" in refused(tmp_path, capsys, without, like)
    turned = {name: weight * (2 if name.endswith("freqs") else 1) for name, weight in weights.items()}
    assert "turns heads by other frequencies" in refused(tmp_path, capsys, turned, like)
    assert "say --like sd15" in refused(tmp_path, capsys, weights, write_modelscope(tmp_path / "modelscope"))
    more = weights | {"down_blocks.9.transformer_blocks.0.attn_temp.to_q.weight": torch.zeros(4, 4)}
    assert "leaves over 1 weights of temporal" in refused(tmp_path, capsys, more, like)


def test_the_image_network_in_the_folder_is_stable_diffusions(path):
    """So that whoever wants to can open it by diffusers."""
    unet = UNet2DConditionModel.from_pretrained(path / "unet", use_safetensors=True)
    assert not any("temp" in name for name in unet.state_dict())
