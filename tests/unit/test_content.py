"""Content through the real encoders: pictures, words, and all that was said as one embedding."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from content_model import CPU, PLACES, SPECIAL, WIDTH, content_model, saved, scribble, vocabulary
from einops import rearrange
from PIL import Image
from torch.nn import functional
from torch.testing import assert_close
from transformers import CLIPTokenizer

from recast.conditions.blend import blended
from recast.conditions.content import ENCODERS, ContentEncoders, ContentInput, Encoder, Medium
from recast.conditions.image import ImageEncoder, embedded, picture
from recast.conditions.prior import Prior
from recast.conditions.text import TextEncoder
from recast.errors import MediaError, RequestError, WeightsError
from recast.model.folder import ModelFolder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return content_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def images(folder: ModelFolder) -> ImageEncoder:
    return ImageEncoder.opened(folder, CPU)


def test_a_square_picture_is_clips_own_embedding(images: ImageEncoder) -> None:
    pixels = scribble(32, 32)
    mean, std = (
        torch.tensor(value)[:, None, None] for value in (images.processor.image_mean, images.processor.image_std)
    )
    with torch.no_grad():
        wanted = images.network(((pixels / 255 - mean) / std)[None]).image_embeds
    assert_close(images.embeddings(pixels[None]), wanted, atol=1e-5, rtol=1e-4)


def test_padding_keeps_what_cropping_loses(images: ImageEncoder) -> None:
    cropped = ImageEncoder(images.network, images.processor, CPU, keep_all=False)
    wide = torch.stack([scribble(32, 96)] * 2)
    wide[1, :, :, :30] = 255 - wide[1, :, :, :30]
    one, other = images.embeddings(wide)
    assert not torch.allclose(one, other, atol=1e-3)
    one, other = cropped.embeddings(wide)
    assert_close(one, other)


def test_padding_has_the_colour_that_the_network_sees_as_zero(images: ImageEncoder) -> None:
    pixels = scribble(32, 16)
    mean, std = (
        torch.tensor(value)[:, None, None] for value in (images.processor.image_mean, images.processor.image_std)
    )
    nearest = (torch.round(255 * mean) / 255 - mean) / std
    assert nearest.abs().max() < 0.01
    seen = nearest.repeat(1, 32, 32)[None]
    seen[..., 8:24] = (pixels / 255 - mean) / std
    with torch.no_grad():
        wanted = images.network(seen).image_embeds
    assert_close(images.embeddings(pixels[None]), wanted, atol=1e-4, rtol=1e-4)


def test_a_picture_file_is_read_upright_on_white(tmp_path: Path) -> None:
    pixels = scribble(4, 6)
    assert torch.equal(picture(saved(tmp_path / "plain.png", pixels)), pixels)
    turned = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=turned.getexif())
    assert torch.equal(picture(str(tmp_path / "turned.png")), pixels.rot90(-1, (1, 2)))
    Image.new("RGBA", (3, 2), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    assert (picture(str(tmp_path / "clear.png")) == 255).all()
    Image.new("L", (3, 2), 7).save(tmp_path / "grey.png")
    assert (picture(str(tmp_path / "grey.png")) == 7).all()


def test_what_is_no_picture_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"no picture at '.*nowhere.png'; check the name"):
        picture(str(tmp_path / "nowhere.png"))
    with pytest.raises(MediaError, match="no picture at"):
        picture(str(tmp_path))
    (tmp_path / "text.png").write_text("no picture")
    whole = Path(saved(tmp_path / "whole.png", scribble(64, 64))).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("text.png", "cut.png"):
        with pytest.raises(
            MediaError, match=rf"no picture can be read from '.*{name}' \(.*save it again as PNG or JPEG"
        ):
            picture(str(tmp_path / name))


def test_text_features_are_clips_own(folder: ModelFolder) -> None:
    encoder = TextEncoder.opened(folder, CPU)
    features = encoder("Snow  dog")
    ids = vocabulary()
    start, end = (ids[special] for special in SPECIAL)
    read = torch.tensor([[start, ids["snow</w>"], ids["dog</w>"], *[end] * (PLACES - 3)]])
    with torch.no_grad():
        wanted = encoder.network(read)
    assert_close(features.pooled, wanted.text_embeds[0])
    assert_close(features.hidden, wanted.last_hidden_state[0])
    assert features.mask.tolist() == [True] * 4 + [False] * (PLACES - 4)


def test_a_tokenizer_saved_anew_reads_the_same(folder: ModelFolder, tmp_path: Path) -> None:
    old = folder.part("tokenizer", CLIPTokenizer)
    old.save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "model_index.json").write_text("{}")
    new = ModelFolder.found(tmp_path).part("tokenizer", CLIPTokenizer)
    assert new("a dog in snow")["input_ids"] == old("a dog in snow")["input_ids"]
    assert new.model_max_length == PLACES


def test_words_up_to_the_limit_are_read_and_one_more_is_refused(folder: ModelFolder) -> None:
    encoder = TextEncoder.opened(folder, CPU)
    assert encoder.max_tokens == PLACES - 2
    assert encoder("dog " * 10).mask.all()
    with pytest.raises(
        RequestError, match=r"the words come to 11 tokens and the model reads 10; leave out about 1: 'dog dog"
    ):
        encoder("dog " * 11)


@pytest.mark.parametrize("norm", ["raw", "unit"])
def test_all_that_was_said_is_one_embedding(
    folder: ModelFolder, images: ImageEncoder, tmp_path: Path, norm: str
) -> None:
    prior = Prior.opened(folder, CPU)
    facts = folder.path / "recast.json"
    facts.write_text(json.dumps({"embedding_norm": norm}))
    path = saved(tmp_path / "reference.png", scribble(40, 40))
    inputs = [
        ContentInput(Medium.WORDS, "dog"),
        ContentInput(Medium.PICTURE, path, 2.0),
        ContentInput(Medium.WORDS, "snow", 0.5),
    ]
    got = ContentEncoders(ModelFolder.found(folder.path), CPU)(inputs, 7)
    parts = [prior("dog", 7), images(path), prior("snow", 7)]
    if norm == "unit":
        parts = [part / part.norm() for part in parts]
        assert_close(got.norm(), torch.tensor(1.0))
    assert_close(got, blended(list(zip(parts, [1.0, 2.0, 0.5], strict=True))))
    facts.unlink()


@pytest.mark.parametrize("medium", ENCODERS)
def test_every_encoder_keeps_the_protocol(folder: ModelFolder, tmp_path: Path, medium: Medium) -> None:
    encoder = ENCODERS[medium](folder, CPU)
    assert isinstance(encoder, Encoder)
    embedding = encoder({Medium.WORDS: "dog", Medium.PICTURE: saved(tmp_path / "a.png", scribble(9, 5))}[medium], 0)
    assert embedding.shape == (WIDTH,)
    assert embedding.isfinite().all()
    assert not embedding.requires_grad


def test_every_medium_has_an_encoder() -> None:
    assert set(ENCODERS) == set(Medium)


@pytest.mark.parametrize(
    ("medium", "lost"),
    [
        (Medium.WORDS, "prior"),
        (Medium.WORDS, "tokenizer"),
        (Medium.WORDS, "text_encoder"),
        (Medium.PICTURE, "image_encoder"),
        (Medium.PICTURE, "feature_extractor"),
    ],
)
def test_a_model_without_a_part_says_which(folder: ModelFolder, tmp_path: Path, medium: Medium, lost: str) -> None:
    for part in folder.path.iterdir():
        (tmp_path / part.name).symlink_to(part)
    (tmp_path / lost).unlink()
    with pytest.raises(WeightsError, match=f"the model has no {lost}; it has "):
        ContentEncoders(ModelFolder.found(tmp_path), CPU)([ContentInput(medium, "dog")], 0)


def test_training_and_use_encode_the_same_pixels():
    encoder = ImageEncoder.opened(ModelFolder.found("pocket"), CPU)
    wide = np.random.default_rng(0).integers(0, 256, (2, 128, 224, 3), np.uint8)
    used = encoder.embeddings(rearrange(torch.from_numpy(wide), "t h w c -> t c h w"))
    assert_close(embedded(encoder.network, wide), functional.normalize(used, dim=-1), atol=1e-5, rtol=1e-5)
