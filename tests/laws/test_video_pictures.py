"""Pictures are read as video: in order, at their times, as upright 8-bit colour."""

from fractions import Fraction

import numpy as np
from PIL import Image

from recast.video.read import Window, frames, opened


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
