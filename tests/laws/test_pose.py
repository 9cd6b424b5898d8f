"""Poses as ViTPose sees them (arXiv:2204.12484) of people that RT-DETR finds (2304.08069), drawn as OpenPose does."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from PIL import Image
from torch.testing import assert_close
from transformers.models.vitpose import image_processing_pil_vitpose as theirs

from animatediff_folder import tiny_controlnet
from pose_folder import SIZE, add_pose
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.conditions.keypoints import Crop, peaks
from recast.conditions.pose import PoseExtractor
from recast.conditions.skeletons import COCO, JOINTS, STICKS, colour, drawn
from recast.errors import WeightsError
from recast.model.folder import ModelFolder, quiet
from recast.types import Clip, Kind
from recast.video.read import Window, opened, read

CPU = torch.device("cpu")
FRAMES = torch.randint(0, 256, (3, 3, 80, 100), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def extractor(path, **kind):
    (path / "model_index.json").write_text("{}")
    return PoseExtractor.opened(ModelFolder.found(add_pose(path, **kind)), CPU)


@pytest.fixture(scope="module")
def seer(tmp_path_factory):
    return extractor(tmp_path_factory.mktemp("pose"))


def gaussian_filter(heat, sigma, radius, axes):
    """SciPy's, which is not needed here: a Gaussian with the picture mirrored at its edge."""
    assert axes == (0, 1)
    reach = radius[0]
    taps = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * sigma**2))
    taps, padded = taps / taps.sum(), torch.from_numpy(np.pad(heat.astype(np.float64), reach, mode="symmetric"))
    blurred = F.conv2d(padded[None, None], taps.reshape(1, 1, -1, 1))
    return F.conv2d(blurred, taps.reshape(1, 1, 1, -1))[0, 0].numpy()


def test_points_are_those_of_transformers_own_processor(seer, monkeypatch):
    monkeypatch.setattr(theirs, "gaussian_filter", gaussian_filter, raising=False)
    heat = torch.rand(2, 17, 16, 12, generator=torch.Generator().manual_seed(1))
    blobs = F.avg_pool2d(heat, 5, stride=1, padding=2).numpy()
    boxes = np.array([[10.0, 20.0, 30.0, 40.0], [3.0, 1.0, 50.0, 20.0]])
    aspect = SIZE[1] / SIZE[0]
    middles, scales = zip(*(theirs.box_to_center_and_scale(box, SIZE[1], SIZE[0]) for box in boxes), strict=True)
    expected, heights = seer.processor.keypoints_from_heatmaps(blobs.copy(), np.stack(middles), np.stack(scales))
    for box, maps, points, height in zip(boxes, blobs, expected, heights, strict=True):
        corners = np.concatenate([box[:2], box[:2] + box[2:]])
        made = Crop.around(corners, aspect).points(maps)
        assert_close(made[:, :2], points.astype(np.float64), atol=1e-4, rtol=1e-5)
        assert_close(made[:, 2], height[:, 0].astype(np.float64))


def test_a_peak_between_two_places_is_found_there():
    rows, columns = np.mgrid[0:16, 0:12]
    heat = np.exp(-((rows - 7.3) ** 2 + (columns - 4.6) ** 2) / 8)[None].astype(np.float32)
    assert_close(peaks(heat)[0], np.array([[4.6, 7.3]]), atol=1e-2, rtol=0)


def test_a_crop_is_the_picture_where_they_agree_and_points_go_back_through_it():
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    whole = Crop(0, 0, SIZE[1] - 1, SIZE[0] - 1)
    assert np.array_equal(whole.cut(image, SIZE), image)
    ramp = np.broadcast_to(np.arange(100, dtype=np.uint8)[None, :, None], (80, 100, 3)).copy()
    crop = Crop(10, 5, 66, 60)
    expected = np.rint(10 + np.arange(SIZE[1]) * 66 / (SIZE[1] - 1))
    assert np.abs(crop.cut(ramp, SIZE)[20, :, 0] - expected).max() <= 1
    heat = np.zeros((1, 16, 12), np.float32)
    heat[0, 8, 6] = 1
    assert_close(crop.points(heat)[0], np.array([10 + 6 * 66 / 11, 5 + 8 * 60 / 15, 1]), atol=1e-3, rtol=0)


def test_people_are_found_and_seen_by_transformers_own_classes(seer):
    """By hand: pixels of the network are those of its processor where that has nothing to cut."""
    image = rearrange(FRAMES[0], "c h w -> h w c").contiguous().numpy()
    read_pixels = seer.detector_processor(image, return_tensors="pt")
    found = seer.detector_processor.post_process_object_detection(
        seer.detector(**read_pixels), threshold=0.5, target_sizes=[image.shape[:2]]
    )[0]
    boxes = found["boxes"][found["labels"] == 0].double().numpy()
    assert len(boxes)
    assert_close(seer.boxes(image), boxes)
    for box, person in zip(boxes, seer.people(image), strict=True):
        crop = Crop.around(box, SIZE[1] / SIZE[0])
        shown = seer.processor(crop.cut(image, SIZE), boxes=None, do_affine_transform=False, return_tensors="pt")
        heat = seer.network(**shown).heatmaps[0].detach().numpy()
        assert_close(person, crop.points(heat), atol=1e-4, rtol=1e-4)


def test_networks_of_several_data_sets_are_asked_for_coco(tmp_path):
    image = rearrange(FRAMES[0], "c h w -> h w c").contiguous().numpy()
    people = extractor(tmp_path, experts=2).people(image)
    assert people
    assert all(points.shape == (17, 3) for points in people)


def test_a_person_is_drawn_as_openpose_draws():
    """The neck is between the shoulders; limbs have their own hues, fainter than joints; what is unsure is left out."""
    points = np.zeros((17, 3))
    sure = {"l_shoulder": (140, 60), "r_shoulder": (60, 60), "r_elbow": (60, 120), "nose": (100, 20)}
    for name, place in sure.items():
        points[COCO.index(name)] = (*place, 0.9)
    points[COCO.index("l_elbow")] = (140, 120, 0.2)
    picture = drawn([points], (200, 200))
    assert tuple(picture[60, 100]) == colour(JOINTS.index("neck"))
    assert tuple(picture[120, 60]) == colour(JOINTS.index("r_elbow"))
    limb = STICKS.index(("r_shoulder", "r_elbow"))
    assert tuple(picture[90, 60]) == tuple(int(0.6 * each) for each in colour(limb))
    assert not picture[90:, 130:].any()
    assert (len(JOINTS), len(STICKS), colour(0), colour(6)) == (18, 17, (255, 0, 0), (0, 255, 0))
    assert not drawn([], (20, 30)).any()


def test_maps_are_the_people_of_each_frame(seer):
    structure = seer(Clip(FRAMES, Fraction(8)))
    assert structure.kind is Kind.POSE
    for frame, maps in zip(FRAMES, structure.maps, strict=True):
        image = rearrange(frame, "c h w -> h w c").contiguous().numpy()
        expected = torch.from_numpy(drawn(seer.people(image), (80, 100))).float() / 255
        assert torch.equal(maps, rearrange(expected, "h w c -> c h w"))
    assert structure.maps.any()


def test_an_edit_follows_the_poses_that_are_seen(tmp_path):
    folder = add_pose(write_stable_diffusion(tmp_path / "model"))
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(8)
        net = tiny_controlnet(UNet2DConditionModel.from_pretrained(folder / "unet"))
        net.save_pretrained(folder / "controlnet")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionControlNetPipeline"}))
    (folder / "recast.json").write_text(json.dumps({"structures": ["pose"]}))
    clip = tmp_path / "clip"
    clip.mkdir()
    for number, frame in enumerate(FRAMES[:2, :, :, :96]):
        Image.fromarray(rearrange(frame, "c h w -> h w c").numpy()).save(clip / f"{number}.png")
    asked = [str(clip), "-m", str(folder), "--size", "96x80", "-q", "--structure"]
    assert run(["structure", *asked, "pose", "-o", str(tmp_path / "pose")]) == 0
    Image.new("RGB", (96, 80)).save(tmp_path / "none.png")
    made = {}
    for name, given in {"seen": [], "given": ["pose"], "other": ["none.png"]}.items():
        files = [f"--structure-from=pose={tmp_path / each}" for each in given]
        edit = ["edit", *asked, "pose:10", "-p", "a robot", "--steps", "2", *files]
        assert run([*edit, "-o", str(tmp_path / f"{name}.mkv")]) == 0
        made[name] = read(opened(tmp_path / f"{name}.mkv"), Window()).frames
    assert torch.equal(made["seen"], made["given"])
    assert not torch.equal(made["seen"], made["other"])


def test_the_folder_of_both_networks_says_what_it_is_for(tmp_path, capsys):
    (tmp_path / "model_index.json").write_text('{"_class_name": "VitPose"}')
    assert run(["models", "info", str(add_pose(tmp_path)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"can": "--structure pose with other models, and no edits"}


def test_a_model_without_networks_for_poses_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("RECAST_HOME", str(tmp_path))
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"pull vitpose` brings two .* --structure-from pose=FILE"):
        PoseExtractor.opened(ModelFolder.found(tmp_path), CPU)


@pytest.mark.parametrize(
    ("kind", "reason"), [({"points": 21}, "gives 21 points and"), ({"classes": ("cat", "dog")}, "no class 'person'")]
)
def test_other_networks_are_refused(tmp_path, kind, reason):
    with pytest.raises(WeightsError, match=reason):
        extractor(tmp_path, **kind)
