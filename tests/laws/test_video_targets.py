"""What is written appears whole, or not at all, and never over what somebody has."""

from fractions import Fraction

import pytest
import torch
from video_files import RECORD, SourceSpec, copied, made

from recast.errors import RequestError, ShapeError
from recast.video.read import Window, frames, opened
from recast.video.write import writing


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("target", ["out.mp4", "out.gif", "shots", "shots/%04d.png"])
def test_an_exception_leaves_nothing_behind(tmp_path, target, raised):
    source = opened(made(tmp_path / "in.mp4", SourceSpec(sound="aac")))
    frame = next(frames(source, Window()))
    with pytest.raises(raised), writing(tmp_path / target, source, Window(), record=RECORD) as writer:  # noqa: PT012
        writer.add(frame.pixels, frame)
        raise raised
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


def test_an_existing_target_is_kept_unless_told_otherwise(tmp_path):
    source = opened(made(tmp_path / "in.mp4", SourceSpec(times=(0, 1001))))
    for target in ("out.mp4", "shots"):
        copied(source, tmp_path / target)
        with pytest.raises(RequestError, match="already"):
            copied(source, tmp_path / target)
        copied(source, tmp_path / target, Window(max_frames=1), overwrite=True)
        assert opened(tmp_path / target).num_frames == 1
    with pytest.raises(RequestError, match="over the source"):
        copied(source, tmp_path / "in.mp4", overwrite=True)


def test_wrong_sizes_endings_rates_and_places_are_refused(tmp_path):
    source = opened(made(tmp_path / "in.mp4", SourceSpec()))
    frame = next(frames(source, Window()))
    with writing(tmp_path / "a.mp4", source, Window(), record=None) as writer:
        with pytest.raises(ShapeError, match="10x8"):
            writer.add(torch.zeros(3, 8, 10, dtype=torch.uint8), frame)
        writer.add(frame.pixels, frame)
    (tmp_path / "a.mp4").unlink()
    for target, options, message in (
        ("out.xyz", {}, "does not write .xyz"),
        ("out.mp4", {"fps": Fraction(0)}, "more than 0"),
        ("missing/out.mp4", {}, "nothing can be written"),
        ("shots/%04d.jpg", {}, "PNG"),
    ):
        with pytest.raises(RequestError, match=message):
            copied(source, tmp_path / target, **options)
    with (
        pytest.raises(RequestError, match="no frame was written"),
        writing(tmp_path / "b.mp4", source, Window(), record=None),
    ):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]
