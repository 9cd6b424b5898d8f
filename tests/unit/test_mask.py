"""Masks: where an edit shows, and that it shows nowhere else."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.testing import assert_close

from recast.editing.mask import Mask, composited, feathered
from recast.editing.mask_planes import planes_of
from recast.editing.values import ALPHA
from recast.errors import MediaError, RequestError, ShapeError
from recast.types import Clip
from recast.video.read import opened
from recast.video.write import save_clip

SIZE = (24, 36)


def left_half(size=SIZE):
    pixels = np.zeros((*size, 3), dtype=np.uint8)
    pixels[:, : size[1] // 2] = 255
    return Image.fromarray(pixels)


@pytest.fixture
def picture(tmp_path):
    left_half().save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def only(mask, first=0):
    (frame,) = mask.frames(first, 1)
    return frame


@pytest.mark.parametrize("ending", ["mkv", ""])
def test_a_clips_own_alpha_is_a_mask(tmp_path, ending):
    opaque = np.zeros(SIZE, np.uint8)
    opaque[:, :12] = 255
    image = np.dstack([np.full((*SIZE, 3), 90, np.uint8), opaque])
    path = tmp_path / "clip.mkv" if ending else tmp_path
    if ending:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=8)
            stream.height, stream.width, stream.pix_fmt = *SIZE, "bgra"
            frame = av.VideoFrame.from_ndarray(image, format="rgba").reformat(format="bgra")
            container.mux([*stream.encode(frame), *stream.encode(None)])
    else:
        Image.fromarray(image).save(path / "1.png")
    source = opened(path)
    assert torch.equal(only(Mask(ALPHA, SIZE, source=source)), torch.from_numpy(opaque).float() / 255)
    plain = replace(source, transparent=False)
    with pytest.raises(MediaError, match="has no transparency, which --mask alpha asks for"):
        Mask(ALPHA, SIZE, source=plain)


def test_a_picture_serves_every_frame(picture):
    held = list(Mask(picture, SIZE).frames(7, 5))
    assert len(held) == 5
    assert all(torch.equal(frame, held[0]) for frame in held)
    assert held[0].sum() == SIZE[0] * SIZE[1] / 2


@pytest.mark.parametrize("feather_px", [0, 3])
def test_inside_and_outside_are_the_whole(picture, feather_px):
    inside, outside = (only(Mask(picture, SIZE, inside=side, feather_px=feather_px)) for side in (True, False))
    assert_close(inside + outside, torch.ones(SIZE))


@pytest.mark.parametrize("feather_px", [1, 2, 5])
def test_feather_is_a_straight_ramp_to_both_sides(feather_px):
    edge = 18
    hard = torch.zeros(SIZE)
    hard[:, :edge] = 1
    soft = feathered(hard, feather_px)
    ramp = soft[0, edge - feather_px : edge + feather_px]
    steps = ramp[:-1] - ramp[1:]
    assert_close(steps, torch.full_like(steps, 1 / (2 * feather_px + 1)))
    assert torch.equal(soft[:, : edge - feather_px], torch.ones(SIZE[0], edge - feather_px))
    assert torch.equal(soft[:, edge + feather_px :], torch.zeros(SIZE[0], SIZE[1] - edge - feather_px))


def test_no_feather_is_the_mask_itself():
    mask = torch.rand(SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(feathered(mask, 0), mask)


@given(st.integers(0, 2**31))
def test_compositing_keeps_the_source_bit_for_bit_where_the_mask_is_zero(seed):
    rng = torch.Generator().manual_seed(seed)
    edited, source = torch.randint(0, 256, (2, 3, 8, 8), generator=rng, dtype=torch.uint8)
    mask = torch.rand(8, 8, generator=rng).round(decimals=1)
    mixed = composited(edited, source, mask)
    assert torch.equal(mixed[:, mask == 0], source[:, mask == 0])
    assert torch.equal(mixed[:, mask == 1], edited[:, mask == 1])
    low, high = torch.minimum(edited, source), torch.maximum(edited, source)
    assert ((mixed >= low) & (mixed <= high)).all()


def test_alpha_counts_where_a_picture_has_it(tmp_path, picture):
    clear = Image.new("RGBA", SIZE[::-1], (255, 255, 255, 0))
    clear.paste((0, 0, 0, 255), (0, 0, SIZE[1] // 2, SIZE[0]))
    clear.save(tmp_path / "alpha.png")
    assert torch.equal(only(Mask(tmp_path / "alpha.png", SIZE)), only(Mask(picture, SIZE)))


def test_sixteen_bits_are_read_whole(tmp_path):
    Image.fromarray(np.full(SIZE, 32768, dtype=np.uint16)).save(tmp_path / "grey.png")
    assert_close(only(Mask(tmp_path / "grey.png", SIZE)), torch.full(SIZE, 32768 / 65535))


@pytest.mark.parametrize(("white", "kind"), [(65535, np.int32), (1, np.float32)])
def test_masks_of_other_programs_with_whole_or_real_numbers_are_no_harder(tmp_path, white, kind):
    Image.fromarray(np.linspace(0, white, 24 * 36).reshape(SIZE).astype(kind)).save(tmp_path / "ramp.tiff")
    assert_close(only(Mask(tmp_path / "ramp.tiff", SIZE)), torch.linspace(0, 1, 24 * 36).view(SIZE), atol=2e-5, rtol=0)


def test_a_mask_that_lies_on_its_side_is_turned_as_clips_are(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(picture).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    assert torch.equal(only(Mask(tmp_path / "turned.png", SIZE)), only(Mask(picture, SIZE)))


def test_a_smaller_mask_of_the_same_aspect_is_enlarged(tmp_path):
    left_half((8, 12)).save(tmp_path / "small.png")
    grown = only(Mask(tmp_path / "small.png", SIZE))
    assert grown.shape == SIZE
    assert_close(grown[:, :14], torch.ones(24, 14))
    assert torch.equal(grown[:, 22:], torch.zeros(24, 14))


def test_another_aspect_is_refused_with_both_sizes(tmp_path):
    left_half((24, 24)).save(tmp_path / "square.png")
    with pytest.raises(ShapeError, match="the mask is 24x24 and the clip 36x24; make the mask 36x24"):
        only(Mask(tmp_path / "square.png", SIZE))


def test_frames_of_a_folder_belong_to_the_sources_frames(tmp_path):
    for index in range(4):
        Image.fromarray(np.full(SIZE, 60 * index, dtype=np.uint8)).save(tmp_path / f"{index}.png")
    mask = Mask(tmp_path, SIZE)
    assert [round(float(frame.mean() * 255)) for frame in mask.frames(1, 2)] == [60, 120]
    with pytest.raises(ShapeError, match="the mask has 4 frames and the clip ends with frame 6 of its source"):
        list(mask.frames(2, 4))


def test_frames_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    for index in (0, 2, 10):
        Image.fromarray(np.full(SIZE, 20 * index, dtype=np.uint8)).save(tmp_path / f"mask{index}.png")
    assert [round(float(frame.mean() * 255)) for frame in Mask(tmp_path, SIZE).frames(0, 3)] == [0, 40, 200]


def test_black_and_white_of_a_lossy_video_are_black_and_white(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "mask.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10, width=48, height=32, pix_fmt="yuv420p")
        for _ in range(3):
            pixels = np.asarray(left_half((32, 48)))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    held = list(Mask(tmp_path / "mask.mp4", (32, 48)).frames(0, 3))
    assert torch.equal(held[2][:, :20], torch.ones(32, 20))
    assert torch.equal(held[2][:, 28:], torch.zeros(32, 20))


def test_at_the_latents_size_it_is_averaged_and_grown_by_one(picture):
    small = Mask(picture, SIZE).at((6, 12), 0, 2)
    assert small.shape == (2, 1, 6, 12)
    assert torch.equal(small[0, 0, 0], torch.tensor([1.0] * 7 + [0.0] * 5))


def test_a_mask_that_leaves_nothing_is_refused(tmp_path):
    Image.new("L", SIZE[::-1]).save(tmp_path / "black.png")
    with pytest.raises(RequestError, match="leaves nothing to edit in any frame; try --edit outside"):
        Mask(tmp_path / "black.png", SIZE).at((3, 4), 0, 1)


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_what_is_no_mask(tmp_path, content):
    path = tmp_path / "mask.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError):
        only(Mask(path, SIZE))


def test_an_empty_folder_is_no_mask(tmp_path):
    with pytest.raises(MediaError, match="holds no pictures"):
        only(Mask(tmp_path, SIZE))


@pytest.mark.parametrize("kind", ["video", "folder"])
def test_parts_in_order_read_the_mask_once(tmp_path, monkeypatch, kind):
    rng, count = np.random.default_rng(0), 20
    path = tmp_path / ("mask.mkv" if kind == "video" else "masks")
    pixels = torch.from_numpy(255 * rng.integers(0, 2, (count, 1, *SIZE), dtype=np.uint8)).expand(-1, 3, -1, -1)
    save_clip(Clip(pixels, Fraction(24)), path)
    reads = 0

    def counted(path):
        nonlocal reads
        for plane in planes_of(path):
            reads += 1
            yield plane

    monkeypatch.setattr("recast.editing.mask.planes_of", counted)
    mask, fresh = Mask(path, SIZE), Mask(path, SIZE)
    for first, parts in [(0, 6), (4, 6), (4, 6), (9, 1), (12, 8)]:
        assert not mask.is_empty(first, parts)
        expected = torch.stack(list(fresh.frames(first, parts)))
        reads -= first + parts
        assert torch.equal(mask.at(SIZE, first, parts), F.max_pool2d(expected, 3, stride=1, padding=1)[:, None])
    assert reads == count
    with pytest.raises(ShapeError, match="the mask has 20 frames and the clip ends with frame 22"):
        mask.at(SIZE, 18, 4)
    with pytest.raises(ShapeError, match="the mask has no frame 31"):
        mask.at(SIZE, 30, 4)
