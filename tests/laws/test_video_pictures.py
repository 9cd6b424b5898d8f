"""Pictures are read as video: in order, at their times, as upright 8-bit colour."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image
from video_files import copied

from recast.errors import RequestError
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
