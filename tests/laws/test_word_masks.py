"""Words become masks as CLIPSeg says (arXiv:2112.10003), and an edit takes them."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from recast.backbones.tiny import tiny_text_config, write_tokenizer
from recast.cli.app import run
from recast.conditions.word_masks import WordMasks
from recast.model.folder import ModelFolder, quiet
from recast.video.read import Window, opened, read
from tiny_folder import clip_folder

SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clipseg")
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = tiny_text_config(width=16, places=24).to_dict() | {"num_hidden_layers": 2}
    shape = {"projection_dim": 16, "extract_layers": [0, 1], "reduce_dim": 8, "decoder_num_attention_heads": 2}
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        parts = {"text_config": text, "vision_config": {**tower, "image_size": SIDE, "patch_size": 8}}
        config = CLIPSegConfig(**parts, decoder_intermediate_size=8, **shape)
        network = CLIPSegForImageSegmentation(config)
        for weight in network.decoder.parameters():
            torch.nn.init.normal_(weight, std=0.5)
        network.save_pretrained(path / "segmenter")
        ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(path / "segmenter")
    write_tokenizer(path / "tokenizer", places=24)
    (path / "model_index.json").write_text(json.dumps({"_class_name": "CLIPSeg"}))
    return path


@pytest.fixture(scope="module")
def segmenter(folder):
    return WordMasks.opened(ModelFolder.found(folder), torch.device("cpu"))


def frames(count=3, size=(40, 52)):
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_masks_are_the_networks_own(segmenter):
    shown = frames()
    read_words = segmenter.tokenizer("red ball", padding="max_length", max_length=24, return_tensors="pt")
    pixels = segmenter.processor(list(shown.numpy()), input_data_format="channels_first", return_tensors="pt")
    words = {name: read_words[name].expand(3, -1) for name in ("input_ids", "attention_mask")}
    logits = segmenter.network(pixel_values=pixels["pixel_values"], **words).logits
    expected = F.interpolate(logits[:, None], (40, 52), mode="bilinear", align_corners=False).sigmoid()
    assert_close(segmenter(shown, ["red ball"]), expected)
    assert_close(segmenter(shown[:1], ["red ball"]), expected[:1], atol=1e-5, rtol=1e-5)


def test_of_several_words_the_likelier_counts(segmenter):
    shown = frames()
    both, each = segmenter(shown, ["ball", "sky"]), [segmenter(shown, [word]) for word in ("ball", "sky")]
    assert_close(both, torch.maximum(*each))
    assert not torch.equal(*each)


def test_the_command_writes_a_mask_that_an_edit_takes(folder, segmenter, tmp_path):
    clip = clip_folder(tmp_path / "clip", frames=3, size=(40, 52))
    likely = segmenter(read(opened(clip), Window()).frames, ["red ball"])
    share = f"{float(likely.median()):.6f}"
    asked = ["mask", str(clip), "-o", str(tmp_path / "mask.mkv"), "--words", "red ball", "--likely", share]
    assert run([*asked, "-m", str(folder), "-q"]) == 0
    masks = read(opened(tmp_path / "mask.mkv"), Window()).frames[:, :1]
    assert torch.equal(masks > 127, likely > float(share))
    edit = ["edit", str(clip), "-p", "a red ball", "--mask", str(tmp_path / "mask.mkv"), "--steps", "1", "-q"]
    assert run([*edit, "-o", str(tmp_path / "out.mkv")]) == 0


def test_words_for_what_is_nowhere_are_an_error(folder, tmp_path, capsys):
    clip = clip_folder(tmp_path / "clip", frames=2)
    asked = ["mask", str(clip), "-o", str(tmp_path / "mask.mkv"), "--words", "red ball", "--likely", "1"]
    assert run([*asked, "-m", str(folder)]) == 2
    assert "is nowhere likelier than 1" in capsys.readouterr().err
    assert run(["mask", str(clip), "-o", str(tmp_path / "mask.mkv"), "--words", "red", "--box", "0,0,4,4"]) == 2
    assert "--box, of --still or of --words; give one" in capsys.readouterr().err
