"""A region that is marked in one frame is followed both ways; what is outside it stays, bit for bit."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from recast.cli.app import run
from recast.conditions.follow import followed_box, followed_still
from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.errors import RequestError
from recast.video.read import Window, opened, read
from tiny_folder import written

SIZE, COUNT, MIDDLE = (96, 128), 9, 4


def place(index):
    return 20 + 5 * index, 30 + 2 * index


@pytest.fixture(scope="module")
def moving():
    """A patterned square of 32 px that goes over a smooth ground."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    ground = np.stack([rows, columns, rows + columns], -1).astype(np.uint8) // 2
    square = np.kron(rng.integers(120, 255, (8, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    clip = np.stack([ground] * COUNT)
    for index in range(COUNT):
        left, top = place(index)
        clip[index, top : top + 32, left : left + 32] = square
    return torch.from_numpy(clip).permute(0, 3, 1, 2).contiguous()


def truth(index):
    left, top = place(index)
    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[top : top + 32, left : left + 32] = True
    return mask


def iou(one, other):
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("kind", ["box", "still"])
def test_a_square_is_followed_both_ways(moving, kind):
    if kind == "box":
        found = followed_box(moving, (*place(MIDDLE), 32, 32), MIDDLE)
    else:
        found = followed_still(moving, truth(MIDDLE).float(), MIDDLE)
    overlaps = [iou(found.masks[index, 0] > 0.5, truth(index)) for index in range(COUNT)]
    assert overlaps[MIDDLE] == 1
    assert min(overlaps) > (0.99 if kind == "box" else 0.7)
    assert found.confidence[MIDDLE] == pytest.approx(1)
    assert min(found.confidence) > 0.5


def test_confidence_falls_where_the_region_is_hidden(moving):
    hidden = moving.clone()
    hidden[6:] = moving.float().mean(dim=(0, 2, 3)).to(torch.uint8)[:, None, None]
    found = followed_still(hidden, truth(0).float(), 0)
    assert min(found.confidence[:6]) > max(found.confidence[6:]) + 0.2


def test_a_box_outside_and_an_empty_still_are_refused(moving):
    with pytest.raises(RequestError, match="the box 32x32 at 100,10 is not in frames of 128x96"):
        followed_box(moving, (100, 10, 32, 32), 0)
    with pytest.raises(RequestError, match="marks nothing"):
        followed_still(moving, torch.zeros(SIZE), 0)


@pytest.fixture
def clip(moving, tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, frame in enumerate(moving):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{index:03d}.png")
    return folder


def test_outside_a_followed_box_every_pixel_is_the_sources(clip, tmp_path, capsys):
    box = ",".join(map(str, (*place(0), 32, 32)))
    assert run(["mask", str(clip), "--box", f"{box}@0", "-o", str(tmp_path / "mask.mkv"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["confidence"]) == COUNT
    model = Model.loaded(str(written(tmp_path / "model")))
    settings = {"prompt": "a red ball", "steps": 1, "mask": tmp_path / "mask.mkv", "feather": 3, "codec": "ffv1"}
    edit(Request.asked(source=clip, target=tmp_path / "out.mkv", **settings), model)
    masks, before, after = (
        read(opened(path), Window()).frames for path in (tmp_path / "mask.mkv", clip, tmp_path / "out.mkv")
    )
    outside = torch.nn.functional.max_pool2d(masks.float(), 7, stride=1, padding=3) == 0
    assert outside.any()
    assert torch.equal(after[outside], before[outside])
    assert not torch.equal(after, before)


def test_regions_with_their_own_words_one_after_the_other_leave_each_other_alone(clip, tmp_path):
    model = Model.loaded(str(written(tmp_path / "model")))
    shown = {clip: read(opened(clip), Window()).frames}
    before, whites = clip, []
    for name, words in (("left", "a red ball"), ("right", "snow")):
        white = torch.zeros(SIZE, dtype=torch.bool)
        white[20:80, slice(10, 50) if name == "left" else slice(70, 110)] = True
        Image.fromarray(white.numpy()).save(tmp_path / f"{name}.png")
        after = tmp_path / f"{name}.mkv"
        settings = {"steps": 1, "mask": tmp_path / f"{name}.png", "feather": 0, "codec": "ffv1"}
        edit(Request.asked(source=before, target=after, prompt=words, **settings), model)
        shown[after] = read(opened(after), Window()).frames
        assert torch.equal(shown[after][..., ~white], shown[before][..., ~white])
        assert not torch.equal(shown[after][..., white], shown[before][..., white])
        before, whites = after, [*whites, white]
    assert not (whites[0] & whites[1]).any()


def test_growing_and_inverting(clip, tmp_path):
    box = ",".join(map(str, (*place(0), 32, 32)))
    areas = {}
    for name, flags in {"plain": [], "grown": ["--grow", "2"], "shrunk": ["--grow=-2"], "other": ["--invert"]}.items():
        assert run(["mask", str(clip), "--box", box, "-o", str(tmp_path / name), "-q", *flags]) == 0
        areas[name] = int((read(opened(tmp_path / name), Window()).frames[0, 0] > 0).sum())
    assert areas == {"plain": 32**2, "grown": 36**2, "shrunk": 28**2, "other": SIZE[0] * SIZE[1] - 32**2}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give one of them"),
        (["--box", "1,2,3"], "not of the form X,Y,W,H@FRAME"),
        (["--box", "0,0,900,9"], "is not in frames of 128x96"),
        (["--box", "0,0,9,9@99"], "there is no frame 99: the clip has 9"),
    ],
)
def test_what_cannot_be_followed_is_one_line(clip, tmp_path, capsys, flags, message):
    assert run(["mask", str(clip), "-o", str(tmp_path / "out.mkv"), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


SEEN = {"bmx-trees_240p": 14, "tennis_240p": 50, "blackswan_1080p": 50}
"""Frames of each sequence until its subject is hidden."""


@pytest.mark.footage
@pytest.mark.slow
@pytest.mark.parametrize("name", SEEN)
def test_boxes_of_real_subjects_are_followed(footage, name):
    folder = footage / "frames" / name
    size = (240, 427)
    clip = read(opened(folder / "images"), Window(max_frames=SEEN[name], size=size)).frames
    grey = read(opened(folder / "masks"), Window(max_frames=SEEN[name], size=size)).frames[:, 0]
    masks = grey > grey.max() / 2
    boxes = [bounds(mask) for mask in masks]
    found = followed_box(clip, boxes[0], 0)
    overlaps = [iou(mask[0] > 0.5, filled(box, size)) for mask, box in zip(found.masks, boxes, strict=True)]
    assert np.mean(overlaps) >= 0.7, overlaps


def bounds(mask):
    rows, columns = (torch.nonzero(mask.any(dim)).flatten() for dim in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def filled(box, size):
    left, top, width, height = box
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask
