"""Values that would spoil an edit, or end in a traceback, are refused in a line that says what to do."""

import dataclasses
import json
from fractions import Fraction

import pytest
import torch
from PIL import Image

from recast.backbones.autoencoder import as_frames
from recast.backbones.tiny import tiny
from recast.cli.app import run
from recast.conditions.content import ContentInput, Medium
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.errors import ClipError, NotFiniteError, RequestError, WeightsError
from recast.types import Clip
from tiny_folder import written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_pixels_that_are_no_numbers_are_no_black_picture(value):
    pixels = torch.zeros(1, 3, 4, 4)
    assert (as_frames(pixels) == 128).all()
    pixels[0, 1, 2, 3] = value
    with pytest.raises(NotFiniteError, match="try --dtype float32"):
        as_frames(pixels)


@pytest.mark.parametrize("cfg", [-1, 101, 1e30])
def test_guidance_has_a_range(cfg):
    with pytest.raises(RequestError, match="cfg is"):
        Request.asked(cfg=cfg)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), "a", None])
def test_an_autoencoder_without_a_scale_is_refused(scale):
    backbone = tiny()
    backbone.vae.register_to_config(scaling_factor=scale)
    with pytest.raises(WeightsError, match="scaling_factor is"):
        dataclasses.replace(backbone)


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        ({"method_defaults": {"gen1": {"strength": 7.0}}}, "method_defaults of gen1: strength: .* less than or equal"),
        ({"method_defaults": {"gen1": {"nosuch": 2.0}}}, "method_defaults of gen1: .*nosuch"),
        ({"method": "nosuch"}, "names the method 'nosuch'; there are"),
    ],
)
def test_what_a_folder_says_wrongly_of_methods_is_its_own_fault(model, facts, wrong):
    metadata = dataclasses.replace(model.folder.metadata, **facts)
    spoiled = dataclasses.replace(model, folder=dataclasses.replace(model.folder, metadata=metadata))
    clip = Clip(torch.zeros(2, 3, 32, 40, dtype=torch.uint8), Fraction(8))
    with pytest.raises(WeightsError, match=wrong):
        resolve(Request.asked(prompt="a red ball"), spoiled, clip)


def test_names_that_diffusers_has_are_understood():
    asked = Request.asked(guidance_scale=3, num_inference_steps=7, negative_prompt="blur", method="flowedit", n_avg=2)
    assert (asked.cfg, asked.steps, asked.negative, asked.knobs) == (3, 7, (("blur", 1.0),), {"noises": 2})


def test_clips_are_bytes_at_a_rate():
    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ClipError, match="more than 0 frames a second"):
        Clip(pixels, Fraction(0))


@pytest.mark.slow  # it counts some twenty trainings
def test_the_hours_of_the_whole_course_can_be_asked_for(capsys):
    assert run(["train", "pocket", "--dry-run", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["hours"] == pytest.approx(sum(each["hours"] for each in printed["trainings"].values()))
    assert printed["trainings"]["pocket-images"]["steps"] == 2400


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("scheduler/scheduler_config.json", "beta_start", []),
        ("scheduler/scheduler_config.json", "num_train_timesteps", [1000]),
        ("text_encoder/config.json", "eos_token_id", []),
        ("feature_extractor/preprocessor_config.json", "resample", None),
        ("feature_extractor/preprocessor_config.json", "image_mean", []),
    ],
)
def test_a_list_or_nothing_where_a_number_belongs_is_refused(tmp_path, file, key, value):
    folder = written(tmp_path / "model")
    config = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(config | {key: value}))
    Image.new("RGB", (32, 32)).save(tmp_path / "seen.png")
    wanted = (ContentInput(Medium.WORDS, "snow", 1.0), ContentInput(Medium.PICTURE, str(tmp_path / "seen.png"), 1.0))
    with pytest.raises(WeightsError, match=f"{key} is .* it should be a number, "):
        Model.loaded(str(folder)).backbone.encode_content(wanted)
