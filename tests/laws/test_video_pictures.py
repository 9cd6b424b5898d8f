"""Pictures are read as video: in order, at their times, as upright 8-bit colour."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image
from video_files import copied

from recast.errors import MediaError, RequestError
from recast.types import Clip
from recast.video.read import Window, frames, opened
from recast.video.write import save_clip

COLOURS = torch.randint(0, 256, (2, 3, 6, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_transparent_pictures_lie_on_black_and_sixteen_bits_become_eight(tmp_path):
    Image.new("RGBA", (4, 4), (200, 100, 50, 128)).save(tmp_path / "clear.png")
    pixel = next(frames(opened(tmp_path / "clear.png"), Window())).pixels[:, 0, 0]
    assert pixel.tolist() == [round(value * 128 / 255) for value in (200, 100, 50)]
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    assert next(frames(opened(tmp_path / "deep.png"), Window())).pixels.unique().tolist() == [0x80]


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    for number in (2, 10, 1):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    assert [int(frame.pixels[0, 0, 0]) for frame in frames(opened(tmp_path), Window())] == [1, 2, 10]
    assert [int(f.pixels[0, 0, 0]) for f in frames(opened(tmp_path / "frame%d.png"), Window(start=0.04))] == [2, 10]


def test_animated_webp_keeps_its_times(tmp_path):
    pictures = [Image.new("RGB", (16, 8), (i * 60, 0, 0)) for i in range(4)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=[40, 80, 40, 40])
    seconds = [frame.seconds for frame in frames(opened(tmp_path / "a.webp"), Window())]
    assert seconds == [0, Fraction(4, 100), Fraction(12, 100), Fraction(16, 100)]


def test_pictures_of_sixteen_bits_hold_the_same_colours(tmp_path):
    save_clip(Clip(COLOURS, Fraction(12)), tmp_path / "clip")
    source = opened(tmp_path / "clip")
    kept = copied(source, tmp_path / "deep", codec="png16")
    with Image.open(tmp_path / "deep" / "00001.png") as picture:
        assert picture.tile[0].args == "RGB;16B"  # Pillow takes the upper 8 bits
        assert picture.info["fps"] == "12"
    with av.open(str(tmp_path / "deep" / "00001.png")) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == "rgb48be"
    assert np.array_equal(frame.to_ndarray(format="rgb48le"), kept[0].pixels.permute(1, 2, 0).numpy().astype(int) * 257)
    back = opened(tmp_path / "deep")
    assert back.fps == 12
    assert torch.equal(next(frames(back, Window())).pixels, COLOURS[0])
    with pytest.raises(RequestError, match="png16 is of pictures, not of mp4 files"):
        copied(source, tmp_path / "out.mp4", codec="png16")


def test_sixteen_bits_a_channel_and_nothing_else_are_noted(tmp_path):
    Image.new("RGB", (10, 6)).save(tmp_path / "plain.png")
    copied(opened(tmp_path / "plain.png"), tmp_path / "deep", codec="png16")
    Image.new("RGB", (10, 6)).quantize(2).save(tmp_path / "palette.png")
    Image.new("RGB", (10, 6)).quantize(2).save(tmp_path / "clear.png", transparency=0)
    notes = {name: opened(tmp_path / name).notes for name in ("plain.png", "deep", "palette.png", "clear.png")}
    assert notes == {
        "plain.png": (),
        "deep": ("16-bit colours were brought to 8 bits",),
        "palette.png": (),
        "clear.png": ("transparent pixels were laid on black",),
    }


def test_a_picture_whose_checksum_is_wrong_is_refused_wherever_it_stands(tmp_path):
    for number in range(3):
        Image.fromarray(COLOURS[0].permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png", compress_level=0)
    spoilt = bytearray((tmp_path / "1.png").read_bytes())
    spoilt[spoilt.index(b"IDAT") + 20] ^= 1  # a pixel; Pillow decodes it without a word
    (tmp_path / "1.png").write_bytes(spoilt)
    with pytest.raises(MediaError, match=r"the picture is damaged.*1\.png"):
        list(frames(opened(tmp_path), Window()))


@pytest.mark.parametrize("kind", ["webp", "png", "jpg"])
def test_a_picture_that_lies_on_its_side_is_turned_by_its_orientation(tmp_path, kind):
    exif, wide = Image.Exif(), Image.new("RGB", (16, 8), (200, 0, 0))
    exif[0x0112] = 6
    wide.save(tmp_path / f"a.{kind}", exif=exif)
    source = opened(tmp_path / f"a.{kind}")
    assert source.size == next(frames(source, Window())).pixels.shape[1:] == (16, 8)


def test_a_moving_webp_is_turned_by_its_orientation(tmp_path):
    exif, wide = Image.Exif(), [Image.new("RGB", (16, 8), (100 * i, 0, 0)) for i in range(3)]
    exif[0x0112] = 8
    wide[0].save(tmp_path / "a.webp", save_all=True, append_images=wide[1:], exif=exif)
    assert [frame.pixels.shape for frame in frames(opened(tmp_path / "a.webp"), Window())] == [(3, 16, 8)] * 3


@pytest.mark.parametrize(
    ("numbers", "note"),
    [((1, 2, 3), ""), ((10, 20, 30), ""), ((5,), ""), ((1, 2, 5, 6, 9, 10), "leave out 4, the first 3")],
)
def test_missing_numbers_are_noted(tmp_path, numbers, note):
    for number in numbers:
        Image.new("RGB", (4, 4)).save(tmp_path / f"take2_{number}.png")
    found = [each for each in opened(tmp_path).notes if "numbers" in each]
    assert len(found) == bool(note)
    assert all(note in each for each in found)


def test_a_png_that_moves_and_a_jpeg_of_several_pictures_are_their_first(tmp_path):
    several = [Image.new("RGB", (8, 8), (i * 60, 0, 0)) for i in range(3)]
    several[0].save(tmp_path / "a.png", save_all=True, append_images=several[1:])
    several[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=several[1:])
    assert any("first picture alone" in note for note in opened(tmp_path / "a.png").notes)
    for name in ("a.png", "a.jpg"):
        assert len(list(frames(opened(tmp_path / name), Window()))) == 1
