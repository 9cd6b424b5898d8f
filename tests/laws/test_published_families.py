"""LoRA files of Stable Diffusion XL and of transformers of video: by hand, and as diffusers' own loaders have it."""

import json

import pytest
import torch
from diffusers.loaders.lora_pipeline import (
    CogVideoXLoraLoaderMixin,
    LTXVideoLoraLoaderMixin,
    StableDiffusionXLLoraLoaderMixin,
    WanLoraLoaderMixin,
)
from safetensors.torch import save_file
from torch.testing import assert_close

from cogvideox_folder import write_cogvideox
from image_variations_folder import write_image_variations
from lora_files import ALPHA, RANK, changed, drawn_for, weights
from ltx_folder import write_ltx
from pipelines import opened
from recast.errors import BackboneError, RequestError, WeightsError
from recast.model.folder import quiet
from recast.tuning.published import HEADER, with_published
from wan_folder import write_wan
from xl_folder import write_xl

BLOCK = "transformer_blocks.0.attn1.to_q"
XL = {
    f"down_blocks.0.attentions.0.{BLOCK}": f"input_blocks.1.1.{BLOCK}",
    "down_blocks.0.resnets.0.conv1": "input_blocks.1.0.in_layers.2",
    "down_blocks.0.resnets.0.time_emb_proj": "input_blocks.1.0.emb_layers.1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "mid_block.attentions.0.proj_in": "middle_block.1.proj_in",
    "mid_block.resnets.1.conv2": "middle_block.2.out_layers.3",
    f"up_blocks.1.attentions.1.{BLOCK}": f"output_blocks.3.1.{BLOCK}",
    "up_blocks.0.resnets.0.conv_shortcut": "output_blocks.0.0.skip_connection",
    "add_embedding.linear_1": "label_emb.0.0",
}
"""Layers by diffusers' names, and by those of the code that XL was published with, which kohya's scripts have."""
WAN = {
    "blocks.0.attn1.to_q": "blocks.0.self_attn.q",
    "blocks.1.attn1.to_out.0": "blocks.1.self_attn.o",
    "blocks.0.attn2.to_v": "blocks.0.cross_attn.v",
    "blocks.0.ffn.net.0.proj": "blocks.0.ffn.0",
    "blocks.1.ffn.net.2": "blocks.1.ffn.2",
}
COGVIDEOX = {name: name for name in ("transformer_blocks.0.attn1.to_q", "transformer_blocks.1.ff.net.2")}
LTX = {name: name for name in ("transformer_blocks.0.attn1.to_q", "transformer_blocks.1.ff.net.2")}
TEXT = {"text_encoder": "encoder.layers.0.self_attn.q_proj", "text_encoder_2": "text_model.encoder.layers.1.mlp.fc1"}


def kohya(parts, named, prefix="lora_unet_"):
    made = {}
    for path, (down, up) in parts.items():
        name = prefix + named[path].replace(".", "_")
        held = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(ALPHA)}
        made |= {f"{name}.{part}": tensor for part, tensor in held.items()}
    return made


def original(parts, named):
    """As ComfyUI and Wan's own trainers write it."""
    made = {}
    for path, (down, up) in parts.items():
        held = {"lora_A.weight": down, "lora_B.weight": up}
        made |= {f"diffusion_model.{named[path]}.{part}": tensor for part, tensor in held.items()}
    return made


def peft(parts, prefix):
    return {
        f"{prefix}.{path}.lora_{which}.weight": each
        for path, both in parts.items()
        for which, each in zip("AB", both, strict=True)
    }


def written(tensors, path, **header):
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=header or None)
    return str(path)


@pytest.mark.parametrize("layout", ["kohya", "peft"])
def test_xls_three_networks_are_changed(tmp_path, layout):
    backbone = opened(write_xl(tmp_path / "model"))
    texts = {"text_encoder": backbone.prompt.network, "text_encoder_2": backbone.prompt.second.network}
    parts, words = drawn_for(backbone.unet, XL), {}
    for seed, (name, network) in enumerate(texts.items()):
        words[name] = drawn_for(network, [TEXT[name]], seed + 1)
    if layout == "kohya":
        tensors, scale = kohya(parts, XL), 0.7 * ALPHA / RANK
        for name, prefix in {"text_encoder": "lora_te1_text_model_", "text_encoder_2": "lora_te2_"}.items():
            tensors |= kohya(words[name], {TEXT[name]: TEXT[name]}, prefix)
    else:
        tensors, scale = peft(parts, "unet"), 0.7
        for name in texts:
            tensors |= peft(words[name], name)
    expected = changed(backbone.unet, parts, scale)
    worded = {name: changed(network, words[name], scale) for name, network in texts.items()}
    with_published(backbone, [(written(tensors, tmp_path / "a.safetensors"), 0.7)])
    assert_close(weights(backbone.unet, parts), expected)
    for name, network in texts.items():
        assert_close(weights(network, words[name]), worded[name])


FAMILIES = {
    "cogvideox": (write_cogvideox, COGVIDEOX, CogVideoXLoraLoaderMixin),
    "xl": (write_xl, XL, StableDiffusionXLLoraLoaderMixin),
    "wan": (write_wan, WAN, WanLoraLoaderMixin),
    "ltx": (write_ltx, LTX, LTXVideoLoraLoaderMixin),
}
LAYOUTS = {
    "kohya": kohya,
    "original": original,
    "peft": lambda parts, _named: peft(parts, "transformer"),
}


def network_of(backbone):
    return getattr(backbone, "unet", None) or backbone.network


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", ["wan", "ltx"])
def test_several_files_add_up_in_a_transformer(tmp_path, family, layout):
    write, named, _ = FAMILIES[family]
    backbone, scale = opened(write(tmp_path / "model")), ALPHA / RANK if layout == "kohya" else 1
    network, sets = backbone.network, [drawn_for(backbone.network, named, seed) for seed in (0, 1)]
    before = {name: weight.clone() for name, weight in weights(network, named).items()}
    one, other = (changed(network, parts, weight * scale) for parts, weight in zip(sets, (0.5, -1.5), strict=True))
    files = [written(LAYOUTS[layout](parts, named), tmp_path / f"{n}.safetensors") for n, parts in enumerate(sets)]
    with_published(backbone, list(zip(files, (0.5, -1.5), strict=True)))
    assert_close(weights(network, named), {name: one[name] + other[name] - before[name] for name in named})


@pytest.mark.parametrize(
    ("family", "layout"),
    [
        ("xl", "kohya"),
        ("wan", "kohya"),
        ("wan", "original"),
        ("wan", "peft"),
        ("ltx", "original"),
        ("ltx", "peft"),
        ("cogvideox", "peft"),
    ],
)
def test_the_network_is_that_of_diffusers_loader(tmp_path, family, layout):
    pytest.importorskip("peft", reason="diffusers loads LoRA by peft, which recast does without")
    write, named, loader = FAMILIES[family]
    path = write(tmp_path / "model")
    ours, theirs = (network_of(opened(path)) for _ in range(2))
    if family != "xl" and layout == "kohya":  # it reads both attentions of all blocks, or fails
        parts = [(b, a, p) for b in range(2) for a in ("self_attn", "cross_attn") for p in "qkvo"]
        named = {_diffusers_name(*each): "blocks.{}.{}.{}".format(*each) for each in parts}
        named |= {f"blocks.{b}.ffn.{n}": f"blocks.{b}.ffn.{o}" for b in range(2) for n, o in _FFN.items()}
    files = {}
    for seed, (name, weight) in enumerate({"a": 0.7, "b": -0.4}.items()):
        tensors = LAYOUTS[layout](drawn_for(ours, named, seed), named)
        files[written(tensors, tmp_path / f"{name}.safetensors")] = weight
        with quiet():
            if family == "xl":
                state, alphas = loader.lora_state_dict(dict(tensors), unet_config=theirs.config)
                loader.load_lora_into_unet(state, alphas, theirs, adapter_name=name)
            else:
                theirs.load_lora_adapter(loader.lora_state_dict(dict(tensors)), adapter_name=name, prefix="transformer")
    theirs.set_adapters(["a", "b"], list(files.values()))
    with quiet():
        theirs.fuse_lora()
        theirs.unload_lora()
    backbone = opened(path)
    with_published(backbone, list(files.items()))
    assert_close(weights(network_of(backbone), named), weights(theirs, named), atol=1e-5, rtol=1e-5)
    assert any(not torch.equal(weights(ours, [name])[name], weights(theirs, [name])[name]) for name in named)


_FFN = {"net.0.proj": "0", "net.2": "2"}


def _diffusers_name(block, attention, part):
    layer = "to_out.0" if part == "o" else f"to_{part}"
    return f"blocks.{block}.{'attn1' if attention == 'self_attn' else 'attn2'}.{layer}"


def test_alpha_in_the_header_counts_for_a_transformer(tmp_path):
    backbone = opened(write_wan(tmp_path / "model"))
    parts, noted = drawn_for(backbone.network, WAN), {"transformer.lora_alpha": 8, "transformer.r": RANK}
    expected = changed(backbone.network, parts, 8 / RANK)
    file = written(peft(parts, "transformer"), tmp_path / "a.safetensors", **{HEADER: json.dumps(noted)})
    with_published(backbone, [(file, 1.0)])
    assert_close(weights(backbone.network, WAN), expected)


def test_image_variations_takes_lora_of_its_unet_and_refuses_that_of_words(tmp_path):
    backbone = opened(write_image_variations(tmp_path / "model"))
    layer = f"down_blocks.0.attentions.0.{BLOCK}"
    parts = drawn_for(backbone.unet, [layer])
    expected = changed(backbone.unet, parts, 1.0)
    with_published(backbone, [(written(peft(parts, "unet"), tmp_path / "a.safetensors"), 1.0)])
    assert_close(weights(backbone.unet, [layer]), expected)
    words = written(kohya(parts, {layer: TEXT["text_encoder"]}, "lora_te_"), tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match="changes layers that this model does not have, 1 in all"):
        with_published(backbone, [(words, 1.0)])


def test_what_cannot_be_merged_is_refused(tmp_path):
    wan, xl = opened(write_wan(tmp_path / "wan")), opened(write_xl(tmp_path / "xl"))
    one, whole = torch.zeros(1, 16), drawn_for(wan.network, WAN)
    embedding = written({"emb_params": one}, tmp_path / "e.safetensors")
    for backbone in (wan, xl):
        with pytest.raises(BackboneError, match="is no LoRA, and learned embeddings are for Stable Diffusion 1 and 2"):
            with_published(backbone, [(embedding, 1.0)])
    with pytest.raises(WeightsError, match="does not have, 5 in all, such as blocks_0_attn1_to_q"):
        with_published(xl, [(written(peft(whole, "transformer"), tmp_path / "w.safetensors"), 1.0)])
    biased = {"diffusion_model.blocks.0.self_attn.q.diff_b": one}
    with pytest.raises(WeightsError, match=r"1 of \d+ tensors are of no known layout of LoRA, such as diffusion_model"):
        with_published(wan, [(written(original(whole, WAN) | biased, tmp_path / "d.safetensors"), 1.0)])


@pytest.mark.parametrize(
    ("name", "late"),
    [
        ("ink-high_noise", False),
        ("Wan22_LowNoise_v2", True),
        ("flow.high", False),
        ("low-poly_HighNoise", False),
        ("low-noise-model", True),
    ],
)
def test_a_files_name_says_which_of_two_networks_it_changes(tmp_path, name, late):
    backbone = opened(write_wan(tmp_path / "two", two=True))
    network, other = backbone.network, backbone.at_little_noise
    if late:
        network, other = other, network
    parts = drawn_for(network, WAN)
    expected, kept = changed(network, parts, 0.5), {path: each.clone() for path, each in weights(other, WAN).items()}
    with_published(backbone, [(written(original(parts, WAN), tmp_path / f"{name}.safetensors"), 0.5)])
    assert_close(weights(network, WAN), expected)
    assert_close(weights(other, WAN), kept, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["ink", "slow-flow", "high-to-low", "highlights", "low_noise-high_noise"])
def test_a_file_that_does_not_say_which_is_refused(tmp_path, name):
    backbone = opened(write_wan(tmp_path / "two", two=True))
    file = written(original(drawn_for(backbone.network, WAN), WAN), tmp_path / f"{name}.safetensors")
    with pytest.raises(RequestError, match="does not say which; give it a name with high_noise or low_noise in it"):
        with_published(backbone, [(file, 1.0)])
