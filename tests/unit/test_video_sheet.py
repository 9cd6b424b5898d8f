"""Contact sheets show what they are given, in place."""

import pytest
import torch

from recast.errors import RequestError
from recast.video.read import Window, frames, opened
from recast.video.sheet import GAP, saved, sheet


def flat(value: int, size: tuple[int, int] = (40, 60)) -> torch.Tensor:
    return torch.full((3, *size), value, dtype=torch.uint8)


def test_frames_stand_side_by_side_and_rows_below_each_other():
    image = sheet([[flat(10), flat(20)], [flat(30)]])
    assert image.shape == (3, 2 * 40 + GAP, 2 * 60 + GAP)
    assert image[0, 20, 30] == 10
    assert image[0, 20, 60 + GAP + 30] == 20
    assert image[0, 40 + GAP + 20, 30] == 30


def test_labels_add_a_band_with_ink():
    plain, labelled = sheet([[flat(255)]]), sheet([[flat(255)]], ["depth"])
    assert labelled.shape[-2] > plain.shape[-2]
    assert (labelled < 128).any()
    assert not (plain < 128).any()


def test_few_columns_keep_the_first_and_last_frame_and_height_scales():
    image = sheet([[flat(value) for value in range(0, 90, 10)]], columns=3, height=20)
    assert image.shape == (3, 20, 3 * 30 + 2 * GAP)
    assert [int(image[0, 10, column]) for column in (15, 30 + GAP + 15, 60 + 2 * GAP + 15)] == [0, 40, 80]


def test_empty_sheets_and_missing_labels_are_refused():
    for rows, labels in (([], None), ([[]], None), ([[flat(0)]], ["a", "b"])):
        with pytest.raises(RequestError):
            sheet(rows, labels)


def test_a_saved_picture_comes_back(tmp_path):
    image = torch.randint(0, 256, (3, 13, 17), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(next(frames(opened(saved(image, tmp_path / "a.png")), Window())).pixels, image)
    with pytest.raises(RequestError, match="cannot be written"):
        saved(image, tmp_path / "missing" / "a.png")
