"""Files that others trained change the networks as their layouts say, and as diffusers' own loaders have it."""

import json

import pytest
import torch
from diffusers.loaders.lora_pipeline import StableDiffusionLoraLoaderMixin
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from safetensors.torch import save_file
from torch.testing import assert_close

import recast
from animatediff_folder import write_animatediff
from lora_files import ALPHA, RANK, changed, drawn_for, weights
from pipelines import UNCHECKED, drawn, opened, pipeline
from recast.backbones.tiny import tiny, write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.errors import BackboneError, RequestError, WeightsError
from recast.model.folder import quiet
from recast.tuning.published import with_published

BLOCK = "down_blocks.0.attentions.0"
RESNET = "mid_block.resnets.0.conv1"
LAYERS = (f"{BLOCK}.transformer_blocks.0.attn1.to_q", f"{BLOCK}.transformer_blocks.0.attn2.to_out.0", RESNET)
TEXT = "encoder.layers.0.self_attn.q_proj"


def kohya(unet, text):
    """As kohya's scripts write it: paths by underscores, an alpha for each layer."""
    named = {f"lora_unet_{path.replace('.', '_')}": both for path, both in unet.items()}
    named |= {f"lora_te_text_model_{path.replace('.', '_')}": both for path, both in text.items()}
    made = {}
    for name, (down, up) in named.items():
        made |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(ALPHA)}
    return made


def peft(unet, text):
    """As diffusers writes it today, by peft's names."""
    named = {f"unet.{path}": both for path, both in unet.items()}
    named |= {f"text_encoder.text_model.{path}": both for path, both in text.items()}
    return {
        f"{name}.lora_{which}.weight": each
        for name, both in named.items()
        for which, each in zip("AB", both, strict=True)
    }


def diffusers(unet, text):
    """As diffusers wrote it before."""
    named = {f"unet.{path}.lora": both for path, both in unet.items()}
    named |= {f"text_encoder.text_model.{path}.lora_linear_layer": both for path, both in text.items()}
    return {
        f"{name}.{way}.weight": each
        for name, both in named.items()
        for way, each in zip(("down", "up"), both, strict=True)
    }


def processors(unet, _text):
    """As diffusers wrote it first: attention alone."""
    attention = {path: both for path, both in unet.items() if ".attn" in path}
    named = {
        path.replace(".to_", ".processor.to_").removesuffix(".0") + "_lora": both for path, both in attention.items()
    }
    return {
        f"{name}.{way}.weight": each
        for name, both in named.items()
        for way, each in zip(("down", "up"), both, strict=True)
    }


LAYOUTS = {"kohya": kohya, "peft": peft, "diffusers": diffusers, "processors": processors}


@pytest.fixture
def path(tmp_path):
    return write_stable_diffusion(tmp_path / "model")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lora_adds_its_products(path, tmp_path, layout):
    backbone, file = opened(path), tmp_path / "style.safetensors"
    unet, text = drawn_for(backbone.unet, LAYERS), drawn_for(backbone.prompt.network, [TEXT], seed=1)
    save_file(LAYOUTS[layout](unet, text), file)
    scale = 0.7 * (ALPHA / RANK if layout == "kohya" else 1)
    if layout == "processors":
        unet, text = {name: both for name, both in unet.items() if ".attn" in name}, {}
    expected = changed(backbone.unet, unet, scale), changed(backbone.prompt.network, text, scale)
    tuned, _ = with_published(backbone, [(str(file), 0.7)])
    assert_close((weights(tuned.unet, unet), weights(tuned.prompt.network, text)), expected)


def test_several_add_up_and_0_is_the_model_bit_for_bit(path, tmp_path):
    backbone, names = opened(path), [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    sets = [drawn_for(backbone.unet, LAYERS, seed) for seed in (0, 1)]
    for name, parts, layout in zip(names, sets, (peft, diffusers), strict=True):
        save_file(layout(parts, {}), name)
    before = {name: weight.clone() for name, weight in backbone.unet.named_parameters()}
    with_published(backbone, [(str(names[0]), 0.0)])
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.unet.named_parameters())
    first = changed(backbone.unet, sets[0], 0.5)
    second = changed(backbone.unet, sets[1], -1.5)
    with_published(backbone, [(str(names[0]), 0.5), (str(names[1]), -1.5)])
    for layer in LAYERS:
        both = first[layer] + second[layer] - before[f"{layer}.weight"]
        assert_close(backbone.unet.get_parameter(f"{layer}.weight").detach(), both)


def test_layers_are_those_that_diffusers_names(path, tmp_path):
    """Its conversion of kohya's file gives the names of its own layout, which have the same effect here."""
    parts, text = drawn_for(opened(path).unet, LAYERS), drawn_for(opened(path).prompt.network, [TEXT], seed=1)
    converted, alphas = StableDiffusionLoraLoaderMixin.lora_state_dict(kohya(parts, text))
    scaled = {
        name: tensor * (ALPHA / RANK if ".up." in name or "lora_B" in name else 1) for name, tensor in converted.items()
    }
    assert len(alphas) == len(LAYERS) + 1
    ours, theirs = opened(path), opened(path)
    for backbone, tensors in ((ours, kohya(parts, text)), (theirs, scaled)):
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "x.safetensors")
        with_published(backbone, [(str(tmp_path / "x.safetensors"), 1.0)])
    assert_close(dict(ours.unet.named_parameters()), dict(theirs.unet.named_parameters()))
    assert_close(dict(ours.prompt.network.named_parameters()), dict(theirs.prompt.network.named_parameters()))


@pytest.mark.parametrize("layout", ["kohya", "peft"])
def test_the_network_is_that_of_diffusers_loader(path, tmp_path, layout):
    pytest.importorskip("peft", reason="diffusers loads LoRA by peft, which recast does without")
    backbone, files = opened(path), {"a": 0.7, "b": -0.4}
    pipe = pipeline(StableDiffusionPipeline, path, **UNCHECKED)
    for seed, name in enumerate(files):
        save_file(LAYOUTS[layout](drawn_for(backbone.unet, LAYERS, seed), {}), tmp_path / f"{name}.safetensors")
        with quiet():  # it warns of the second one
            pipe.load_lora_weights(tmp_path, weight_name=f"{name}.safetensors", adapter_name=name)
    pipe.set_adapters(list(files), list(files.values()))
    inputs = drawn(2, 4, 4, 6, seed=0), torch.tensor(500), drawn(2, 77, 16, seed=1)
    with_published(backbone, [(str(tmp_path / f"{name}.safetensors"), weight) for name, weight in files.items()])
    with torch.no_grad():
        assert_close(backbone.unet(*inputs).sample, pipe.unet(*inputs).sample, atol=1e-5, rtol=1e-5)


def test_alpha_in_the_header_counts(path, tmp_path):
    backbone, file = opened(path), tmp_path / "a.safetensors"
    parts = drawn_for(backbone.unet, LAYERS)
    noted = {"unet.lora_alpha": 8, "unet.r": RANK, "unet.alpha_pattern": {}}
    save_file(peft(parts, {}), file, metadata={"lora_adapter_metadata": json.dumps(noted)})
    expected = changed(backbone.unet, parts, 8 / RANK)
    with_published(backbone, [(str(file), 1.0)])
    assert_close(weights(backbone.unet, LAYERS), expected)


@pytest.mark.parametrize("original", [False, True])
def test_motion_lora_changes_motion_modules(tmp_path, original):
    """In the names of diffusers, and in those of AnimateDiff's own files."""
    backbone, file = opened(write_animatediff(tmp_path / "model")), tmp_path / "zoom-in.safetensors"
    layer = "transformer_blocks.0.attn2.to_k"
    ours = f"{BLOCK}.temporal.motion.{layer}"
    parts = drawn_for(backbone.unet, [ours])
    down, up = parts[ours]
    theirs = f"unet.down_blocks.0.motion_modules.0.{layer}.lora."
    if original:
        inner = layer.replace("attn2.to_k", "attention_blocks.1.processor.to_k")
        theirs = f"module.down_blocks.0.motion_modules.0.temporal_transformer.{inner}_lora."
    save_file({f"{theirs}down.weight": down, f"{theirs}up.weight": up}, file)
    expected = changed(backbone.unet, parts, 0.8)
    with_published(backbone, [(str(file), 0.8)])
    assert_close(weights(backbone.unet, [ours]), expected)


@pytest.mark.parametrize(("token", "count"), [("<cat-toy>", 2), ("easynegative", 1)])
def test_a_learned_embedding_is_read_as_diffusers_reads_it(path, tmp_path, token, count):
    backbone, file = opened(path), tmp_path / f"{token}.safetensors"
    save_file({token: drawn(count, 16, seed=2).squeeze(0)}, file)
    pipe = pipeline(StableDiffusionPipeline, path, **UNCHECKED)
    with quiet():
        pipe.load_textual_inversion(tmp_path, weight_name=file.name)
    prompt = f"a photo of {token} in the snow"
    expected = pipe.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)[0][0]
    learned, words = with_published(backbone, [(str(file), 1.0)])
    assert words == {token}
    assert_close(learned.encode_content([ContentInput(Medium.WORDS, prompt)]), expected, atol=1e-5, rtol=1e-5)
    plain = [ContentInput(Medium.WORDS, "a photo")]
    assert torch.equal(learned.encode_content(plain), backbone.encode_content(plain))


@pytest.mark.parametrize(
    ("tensors", "wrong"),
    [
        (
            {"lora_unet_no_such_layer.lora_down.weight": torch.zeros(2, 4)},
            "layers that this model does not have, 1 in all",
        ),
        ({f"unet.{LAYERS[0]}.lora_A.weight": torch.zeros(2, 16)}, "does not fit the layer"),
        ({f"unet.{LAYERS[0]}.lora_{p}.weight": torch.zeros(3, 3) for p in "AB"}, "does not fit the layer"),
        ({"lora_unet_x.hada_w1_a": torch.zeros(2, 2)}, "holds LoHa, and recast merges plain LoRA"),
        ({"lora_unet_x.lora_down.weight": torch.zeros(2, 2), "odd": torch.zeros(1)}, "1 of 2 tensors are of no known"),
        ({"emb_params": torch.zeros(2, 9)}, "of width 9, and this model's text encoder of 16"),
        ({"a": torch.zeros(2, 16), "b": torch.zeros(2, 16)}, "neither a LoRA nor one learned embedding; it holds a, b"),
        ({"emb_params": torch.full((1, 16), torch.nan)}, "holds NaN or Inf"),
    ],
)
def test_what_cannot_be_merged_is_refused(path, tmp_path, tensors, wrong):
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=wrong):
        with_published(opened(path), [(str(tmp_path / "a.safetensors"), 1.0)])


def test_pickles_damage_and_other_families_are_refused(path, tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"\x80\x04")
    (tmp_path / "b.safetensors").write_bytes(b"half")
    with pytest.raises(WeightsError, match="is a pickle, which can run code when read"):
        with_published(opened(path), [(str(tmp_path / "a.ckpt"), 1.0)])
    with pytest.raises(WeightsError, match="no whole safetensors file"):
        with_published(opened(path), [(str(tmp_path / "b.safetensors"), 1.0)])
    with pytest.raises(BackboneError, match="not for this model"):
        with_published(tiny(), [(str(tmp_path / "b.safetensors"), 1.0)])
    save_file({"x": torch.zeros(1, 16)}, tmp_path / "c.safetensors")
    with pytest.raises(RequestError, match="its weight is 0 or 1"):
        with_published(opened(path), [(str(tmp_path / "c.safetensors"), 0.5)])


def test_an_edit_takes_files_beside_its_model(path, tmp_path):
    save_file(kohya(drawn_for(opened(path).unet, LAYERS), {}), tmp_path / "a.safetensors")
    plain, tuned = recast.load(path), recast.load(path, adapter=f"{tmp_path / 'a.safetensors'}:0.5")
    name = f"{LAYERS[0]}.weight"
    base, other = (each.model.backbone.unet.get_parameter(name) for each in (plain, tuned))
    assert not torch.equal(base, other)
