"""Stable Diffusion with several ControlNets is diffusers' pipeline frame by frame, and structures may be user-made."""

import json
from fractions import Fraction

import pytest
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from PIL import Image
from torch.testing import assert_close

from animatediff_folder import tiny_controlnet
from pipelines import SCALE, UNCHECKED, asked, assert_same_walk, drawn, opened, pipeline, walked
from recast.backbones.tiny import write_depth_estimator, write_stable_diffusion
from recast.conditions.content import ContentInput, Medium
from recast.conditions.lineart import LineArtExtractor
from recast.diffusion.guidance import guided
from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.prepared import prepare
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.errors import MediaError, RequestError, ShapeError, WeightsError
from recast.model.folder import quiet
from recast.types import Clip, Condition, Kind, Structure
from recast.video import read
from tiny_folder import clip_folder
from xl_folder import write_xl

PROMPT, FRAMES = "a red ball in the snow", 2
NAMES = ("controlnet", "controlnet_1")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Stable Diffusion with a ControlNet of depth and one of pose."""
    folder = write_stable_diffusion(tmp_path_factory.mktemp("model"))
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(8)
        for name in NAMES:
            tiny_controlnet(UNet2DConditionModel.from_pretrained(folder / "unet")).save_pretrained(folder / name)
    write_depth_estimator(folder / "depth_estimator", folder / "depth_estimator")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionControlNetPipeline"}))
    (folder / "recast.json").write_text(json.dumps({"structures": ["depth", "pose"]}))
    return folder


@pytest.fixture(scope="module")
def model(path):
    return Model.loaded(str(path))


def skeleton(folder, count, size=(40, 52)):
    """Pictures of so many frames in which a coloured limb moves, and their pixels."""
    folder.mkdir(parents=True)
    pixels = torch.zeros(count, 3, *size, dtype=torch.uint8)
    for number, picture in enumerate(pixels):
        picture[:, 8:30, 6 + 2 * number : 10 + 2 * number] = torch.tensor([255, 85, 0], dtype=torch.uint8)[
            :, None, None
        ]
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{number:03d}.png")
    return pixels


def resolved(model, source, **settings):
    request = Request.asked(source=source, prompt="snow", size="48x40", **settings)
    return resolve(request, model, read.opened(source))


def test_two_controlnets_with_weights_and_ranges_are_diffusers_own(path):
    backbone, noise = opened(path), drawn(FRAMES, 4, 4, 6, seed=0)
    depth, pose = (torch.rand(FRAMES, c, 32, 48, generator=torch.Generator().manual_seed(c)) for c in (1, 3))
    with quiet():
        nets = [ControlNetModel.from_pretrained(path / name) for name in NAMES]
    pipe = pipeline(StableDiffusionControlNetPipeline, path, controlnet=nets, **UNCHECKED)
    expected = asked(
        pipe,
        noise,
        prompt=[PROMPT] * FRAMES,
        image=[depth.expand(-1, 3, -1, -1), pose],
        controlnet_conditioning_scale=[0.5, 1.5],
        control_guidance_start=[0.0, 0.0],
        control_guidance_end=[1.0, 0.5],
    )
    condition = Condition(backbone.encode_content([ContentInput(Medium.WORDS, PROMPT)]), backbone.null_tokens())
    structures = [Structure(Kind.DEPTH, depth, weight=0.5), Structure(Kind.POSE, pose, weight=1.5, within=(0.0, 0.5))]
    condition = backbone.with_structures(condition, structures, 6)
    assert_same_walk(walked(backbone, noise, guided(backbone.denoise_branches, SCALE), condition), expected, 1e-5)


def test_a_structure_of_a_file_is_its_pixels_beside_one_that_is_seen(model, tmp_path):
    source, pixels = clip_folder(tmp_path / "clip", size=(40, 48)), skeleton(tmp_path / "pose", 5, (40, 48))
    asked_for = {"structure": ("pose:0.5", "depth"), "structure_from": {"pose": tmp_path / "pose"}}
    pose, depth = prepare(resolved(model, source, **asked_for, start=0.05), model).structures
    assert (pose.kind, depth.kind) == (Kind.POSE, Kind.DEPTH)
    assert torch.equal(pose.maps, pixels[-len(pose.maps) :].float() / 255)
    assert len(depth.maps) == len(pose.maps) < 5
    one = {"structure": "depth", "structure_from": f"depth={tmp_path / 'pose' / '000.png'}"}
    [grey] = prepare(resolved(model, source, **one), model).structures
    assert grey.maps.shape == (5, 1, 40, 48)
    assert torch.equal(grey.maps[0], grey.maps[4])
    assert 0 < grey.maps.max() < 0.6  # the luma of orange


def test_a_long_clip_takes_each_frames_own_and_an_edit_follows_it(model, tmp_path):
    source = clip_folder(tmp_path / "clip", size=(40, 48))
    skeleton(tmp_path / "pose", 5, (40, 48))
    request = Request.asked(
        source=source,
        prompt="snow",
        steps=1,
        size="48x40",
        structure="pose",
        structure_from={"pose": tmp_path / "pose"},
        cuts="none",
    )
    made = {}
    still = {"structure_from": {"pose": tmp_path / "pose" / "000.png"}}
    for name, more in {"whole": {}, "long": {"segment": 4, "window": 2}, "still": still}.items():
        result = edit(request.updated(target=tmp_path / f"{name}.mkv", **more), model)
        made[name] = read.read(read.opened(tmp_path / f"{name}.mkv"), read.Window()).frames
        assert any(str(tmp_path / "pose") in path for path in result.record.inputs)
    assert torch.equal(made["long"][:2], made["whole"][:2])
    assert not torch.equal(made["still"], made["whole"])
    assert torch.equal(made["still"][0], made["whole"][0])


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"structure": "hed"}, (RequestError, "hed is not seen in a clip here .* --structure-from hed=FILE")),
        ({"structure_from": "pose=pose"}, (RequestError, "the structure is depth; say --structure pose too")),
        ({"structure": "pose", "structure_from": "pose"}, (RequestError, "a kind and a file of it, such as pose=")),
        ({"structure": "pose", "structure_from": "pose=nowhere"}, (MediaError, "there is no pose at nowhere")),
        (
            {"structure": "pose", "structure_from": "pose=pose"},
            (ShapeError, "has 3 frames and the clip ends with frame 5"),
        ),
        ({"structure": "pose", "structure_from": "pose=wide"}, (ShapeError, "the pose is 90x40 and the clip 52x40")),
    ],
)
def test_what_a_structure_of_a_file_cannot_be_is_told(model, tmp_path, monkeypatch, settings, refusal):
    monkeypatch.chdir(tmp_path)
    skeleton(tmp_path / "pose", 3)
    skeleton(tmp_path / "wide", 5, (40, 90))
    error, wrong = refusal
    with pytest.raises(error, match=wrong):
        prepare(resolved(model, clip_folder(tmp_path / "clip"), **settings), model)


def test_controlnets_of_xl_are_refused(tmp_path):
    folder = write_xl(tmp_path)
    (folder / "controlnet").mkdir()
    with pytest.raises(WeightsError, match="ControlNets of XL are not opened"):
        opened(folder)


def test_line_art_is_where_a_place_is_darker_than_around_it():
    frames = torch.full((2, 3, 40, 48), 200, dtype=torch.uint8)
    frames[:, :, 20, 10:40] = 40  # a dark line
    frames[:, :, 30, 10:40] = 255  # a light one
    frames[1] = 128
    maps = LineArtExtractor()(Clip(frames, Fraction(8))).maps
    assert maps[0, 0, 20, 15:35].min() > 0.9
    assert maps[0, 0, 30].max() < 0.2
    assert maps[0, 0, 5].max() < 0.2
    assert_close(maps[1], torch.zeros_like(maps[1]), atol=1e-3, rtol=0)
