"""Pictures of users are decoded in a process of their own, as they would be in this one."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recast.editing.mask_planes import planes_of
from recast.errors import MediaError
from recast.video import isolated_pictures, pictures, sequence
from recast.video.read import Window, frames, opened


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_is_as_it_is_decoded_in_this_process(tmp_path, kind):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.picture"  # by what it is, not by its name
    Image.fromarray(rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)).save(path, kind)
    with Image.open(path) as held:
        inside = np.asarray(held.convert("RGBA"))
    assert np.array_equal(isolated_pictures.picture(path), inside)


def test_pictures_that_are_none_or_too_large_are_refused_in_one_line(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(MediaError, match="the picture is damaged, or no PNG"):
        isolated_pictures.picture(tmp_path / "text.png")
    Image.new("1", (8192, 4097)).save(tmp_path / "large.png")
    with pytest.raises(MediaError, match="8192x4097 is more than 33554432 pixels"):
        isolated_pictures.picture(tmp_path / "large.png")


def drawn(mode: str, rows: int = 24, columns: int = 40, seed: int = 0) -> Image.Image:
    channels = {"RGB": (3,), "RGBA": (4,)}.get(mode, ())
    deep = mode == "I;16"
    values = np.random.default_rng(seed).integers(0, 65536 if deep else 256, (rows, columns, *channels))
    return Image.fromarray(values.astype(np.uint16 if deep else np.uint8))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_pictures_of_a_sequence_and_masks_are_as_they_are_decoded_in_this_process(tmp_path, monkeypatch, mode, alpha):
    path, kinds = tmp_path / "a.png", ("PNG",)
    drawn(mode).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    seen = []
    for apart in (True, False):
        monkeypatch.setattr(isolated_pictures, "AVAILABLE", apart)
        still = isolated_pictures.still(path, kinds, alpha=alpha)
        seen.append(
            (still.tolist(), isolated_pictures.mask(path, kinds).tolist(), isolated_pictures.facts(path, kinds))
        )
    assert seen[0] == seen[1]
    assert seen[0][2].size == still.shape[:2] == (40, 24)  # on its side, by its orientation


def test_a_moving_picture_is_as_it_is_decoded_in_this_process(tmp_path, monkeypatch):
    first, *others = [drawn("RGBA", seed=seed) for seed in range(5)]
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=[30, 40, 50, 60, 70], lossless=True)
    source, shown = opened(tmp_path / "a.webp"), []
    for apart in (True, False):
        monkeypatch.setattr(isolated_pictures, "AVAILABLE", apart)
        found = list(isolated_pictures.animation(source, ("WEBP",)))
        shown.append([(each.pts, each.duration, each.index, each.image.tolist()) for each in found])
    assert shown[0] == shown[1]
    assert [pts for pts, *_ in shown[0]] == [0, 30, 70, 120, 180]


def test_a_moving_picture_that_ends_early_is_refused(tmp_path):
    first, *others = [drawn("RGB", seed=seed) for seed in range(3)]
    first.save(tmp_path / "a.webp", save_all=True, append_images=others, duration=30)
    source = opened(tmp_path / "a.webp")
    with pytest.raises(MediaError, match="4 frames are told of, and 3 came"):
        list(isolated_pictures.animation(replace(source, num_frames=4), ("WEBP",)))


def test_no_picture_of_a_user_is_decoded_in_this_process(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("opened here")

    for number in range(3):
        drawn("RGBA", seed=number).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(pictures.Image, "open", refused)
    assert len(list(frames(opened(tmp_path), Window()))) == 3
    assert next(planes_of(tmp_path / "0.png")).shape == (24, 40)


def test_one_picture_is_decoded_ahead_and_no_more(tmp_path, monkeypatch):
    for number in range(5):
        drawn("RGB", seed=number).save(tmp_path / f"{number}.png")
    asked, still = [], isolated_pictures.still
    monkeypatch.setattr(
        isolated_pictures, "still", lambda path, *a, **k: asked.append(path.name) or still(path, *a, **k)
    )
    shown = sequence.pictures(opened(tmp_path), 1)
    first = next(shown)[2]
    shown.close()
    assert np.array_equal(first, np.asarray(drawn("RGB", seed=1)))
    assert asked == ["1.png", "2.png"]
