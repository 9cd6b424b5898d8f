"""Networks of the user's own that measure: CLIP pairs, PickScore's, DINOv2 and its like, by tiny folders."""

from fractions import Fraction

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ViTConfig,
    ViTModel,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

import recast
from recast.errors import RequestError
from recast.evaluation.metrics.consistency import neighbours
from recast.model.folder import MODELS, ModelFolder
from recast.types import Clip

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {
    "dinov2": (Dinov2Config(**SMALL, image_size=28, patch_size=14), Dinov2Model, 0),
    "registers": (
        Dinov2WithRegistersConfig(**SMALL, image_size=28, patch_size=14, num_register_tokens=3),
        Dinov2WithRegistersModel,
        3,
    ),
    "dino": (ViTConfig(**SMALL, intermediate_size=16, image_size=28, patch_size=14), ViTModel, 0),
}


@pytest.fixture(scope="module")
def clips():
    rng = torch.Generator().manual_seed(5)
    return tuple(
        Clip(torch.randint(256, (3, 3, 40, 56), generator=rng).to(torch.uint8), Fraction(10)) for _ in range(2)
    )


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    folder, own = ModelFolder.found(next(iter(MODELS))), tmp_path_factory.mktemp("our") / "our-clip"
    small = SMALL | {"projection_dim": 8, "intermediate_size": 16}
    vision = CLIPVisionConfig(**small, image_size=128, patch_size=32)
    text = CLIPTextConfig(**small, vocab_size=folder.part("tokenizer", CLIPTokenizer).vocab_size + 2)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(own)
    for part in ("tokenizer", "feature_extractor"):
        for file in (folder.path / part).iterdir():
            (own / file.name).write_bytes(file.read_bytes())
    return own


def test_a_clip_model_of_the_users_own_measures_instead(clips, clip_model):
    scores = recast.evaluate(*clips, prompt="a zeppelin", encoder=str(clip_model), max_frames=2)
    by = {scores.figures.by[name] for name in ("frames", "prompt", "structure")}
    assert by == {"our-clip", "our-clip, last layer"}
    assert not any("does not know" in note for note in scores.notes)


def test_pickscore_is_the_models_own_logit(clips, clip_model):
    scores = recast.evaluate(*clips, prompt="a zeppelin", preference=str(clip_model))
    network = CLIPModel.from_pretrained(clip_model).eval()
    processor = CLIPImageProcessorPil.from_pretrained(clip_model)
    ids = CLIPTokenizer.from_pretrained(clip_model)("a zeppelin", return_tensors="pt")
    for frames, value in ((clips[1].frames, scores["pick"]), (clips[0].frames, scores.figures.source["pick"])):
        pixels = processor(list(frames.numpy()), input_data_format="channels_first", return_tensors="pt")
        with torch.no_grad():
            logits = network(**ids, pixel_values=pixels["pixel_values"]).logits_per_image
        assert value == pytest.approx(float(logits.mean()), abs=1e-4)
    assert scores.figures.by["pick"] == "our-clip"
    with pytest.raises(RequestError, match="about the words"):
        recast.evaluate(*clips, preference=str(clip_model))


@pytest.mark.parametrize("kind", VISION)
def test_networks_without_words_tell_frames_and_structure_and_leave_words_to_the_pair(kind, clips, tmp_path):
    config, network, registers = VISION[kind]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network(config).save_pretrained(tmp_path / kind)
    square = {"height": 28, "width": 28}
    settings = {"do_center_crop": False, "size": square}
    processor = ViTImageProcessorPil(size=square) if kind == "dino" else BitImageProcessorPil(**settings)
    processor.save_pretrained(tmp_path / kind)
    scores = recast.evaluate(*clips, prompt="a dog", encoder=str(tmp_path / kind))
    by = scores.figures.by
    assert (by["frames"], by["structure"], by["prompt"]) == (kind, f"{kind}, last layer", "CLIP pair of pocket")
    tokens = []
    for clip in clips:
        pixels = processor(list(clip.frames.numpy()), input_data_format="channels_first", return_tensors="pt")
        with torch.no_grad():
            tokens.append(network.from_pretrained(tmp_path / kind).eval()(pixels["pixel_values"]).last_hidden_state)
    assert scores["frames"] == pytest.approx(neighbours(tokens[1][:, 0]), abs=1e-5)
    places = [F.normalize(each[:, 1 + registers :], dim=2) for each in tokens]
    assert places[0].shape[1] == 4
    alike = [each @ each.transpose(1, 2) for each in places]
    assert scores["structure"] == pytest.approx(1e3 * float((alike[0] - alike[1]).square().mean()), rel=1e-4)
