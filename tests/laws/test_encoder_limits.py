"""Frames that an encoder takes come back; those that it does not are refused in one line, before any work."""

from fractions import Fraction

import av
import numpy as np
import pytest
from test_video_fidelity import with_notes

from recast.cli.app import run
from recast.errors import RequestError
from recast.video.codecs import CODECS
from recast.video.read import Window, frames, opened
from recast.video.write import writing

ENDINGS = {"vp9": "webm", "mpeg4": "avi", "gif": "gif"}
EVEN = {name: max(2, codec.least) for name, codec in CODECS.items() if codec.odd is None}


def clip(path, size, fps=25):
    """Six frames of a slope that grows lighter, without loss."""
    rows, columns = size
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=fps, options={"crf": "0"})
        video.height, video.width, video.pix_fmt = rows, columns, "yuv444p"
        for number in range(6):
            slope = np.add.outer(np.arange(rows), np.arange(columns)) + 30 * number
            image = np.repeat(slope[..., None] % 256, 3, axis=-1).astype(np.uint8)
            file.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(video.encode(None))
    return path


def pixels(source):
    return [each.pixels.float() for each in frames(source, Window())]


def target_of(folder, name):
    return folder / f"out.{ENDINGS.get(name, 'mkv')}"


@pytest.mark.parametrize("name", sorted(CODECS))
def test_the_smallest_frames_that_an_encoder_takes_come_back(tmp_path, name):
    side = EVEN.get(name, CODECS[name].least)
    for size in ((side, side), (side, 64 + side % 2), (64 + side % 2, side)):
        source, target = opened(clip(tmp_path / "in.mkv", size)), target_of(tmp_path, name)
        target.unlink(missing_ok=True)
        with_notes(source, target, codec=name)
        before, after = pixels(source), pixels(opened(target))
        assert len(after) == 6
        errors = [float((one - two).abs().mean()) for one, two in zip(before, after, strict=True)]
        assert max(errors) < 8, size


@pytest.mark.parametrize("name", sorted(name for name, codec in CODECS.items() if codec.least > 1))
def test_smaller_frames_are_refused(tmp_path, name):
    side = CODECS[name].least - 1
    for size in ((side, 80), (80, side)):
        source = opened(clip(tmp_path / "in.mkv", size))
        with pytest.raises(
            RequestError, match=f"sides of at least {side + 1} pixels, and frames are {size[1]}x{size[0]}"
        ):
            with_notes(source, target_of(tmp_path, name), codec=name)
    assert not target_of(tmp_path, name).exists()


def test_av1_takes_240_frames_a_second_and_no_more(tmp_path):
    with_notes(opened(clip(tmp_path / "fast.mkv", (16, 16), 240)), tmp_path / "out.mkv", codec="av1")
    faster = opened(clip(tmp_path / "faster.mkv", (16, 16), 300))
    with pytest.raises(RequestError, match="at most 240 frames a second, and there are 300; use h264"):
        with_notes(faster, tmp_path / "more.mkv", codec="av1")
    with pytest.raises(RequestError, match="at most 240"):  # noqa: SIM117 -- what is raised is of the second
        with writing(tmp_path / "more.mkv", faster, Window(), record=None, codec="av1", fps=Fraction(241)):
            pass


def test_an_edit_is_refused_before_its_model_is_opened(tmp_path, capsys):
    source = clip(tmp_path / "in.mkv", (48, 48))
    asked = ["edit", str(source), "-p", "snow", "-o", str(tmp_path / "out.mkv"), "--set", "codec=hevc"]
    assert run([*asked, "-m", str(tmp_path / "no-model")]) == 2
    assert "libx265 takes sides of at least 65 pixels, and frames are 48x48; use h264 or vp9" in capsys.readouterr().err
