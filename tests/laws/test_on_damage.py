"""A damaged clip fails with the numbers, or is used as it comes, or has its gaps filled: times are as promised."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from video_files import noise

import recast
from recast.cli.app import run
from recast.errors import MediaError, RequestError
from recast.video.read import Window, frames, opened
from recast.video.record import embedded
from tiny_folder import written

COUNT, BAD = 20, 9


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.fixture
def damaged(tmp_path) -> Path:
    """Frames that each stand alone; the packet of one of them is overwritten."""
    path = tmp_path / "a.mov"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for _ in range(COUNT):
            seen = rng.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(seen, format="rgb24")))
        container.mux(stream.encode(None))
    (tmp_path / "whole.mov").write_bytes(path.read_bytes())
    spoilt = packets_of(path)[BAD]
    path.write_bytes(path.read_bytes().replace(spoilt, bytes(len(spoilt))))
    return path


def read(path: Path, on_damage: str, window: Window | None = None):
    source = opened(path, on_damage)
    return source, list(frames(source, window or Window()))


def test_it_fails_by_default_with_numbers_and_what_to_do(damaged):
    with pytest.raises(MediaError) as caught:
        list(frames(opened(damaged), Window()))
    message = str(caught.value)
    assert f"{COUNT} frames were expected and {COUNT - 1} decoded; 1 packet could not be decoded" in message
    assert "--on-damage warn" in message
    assert "--on-damage repeat" in message


def test_what_lies_outside_of_the_window_is_no_damage(damaged):
    # A decoder works ahead of what it has shown, by a frame for each of its threads.
    assert len(read(damaged, "fail", Window(max_frames=2))[1]) == 2


def test_warn_takes_what_comes_and_repeat_fills_the_gap_with_the_frame_before(damaged):
    whole = read(damaged.with_name("whole.mov"), "fail")[1]
    source, fewer = read(damaged, "warn")
    filled_source, filled = read(damaged, "repeat")
    kept = [*range(BAD), *range(BAD + 1, COUNT)]
    assert [frame.pts for frame in fewer] == [whole[number].pts for number in kept]
    assert [frame.pts for frame in filled] == [frame.pts for frame in whole]
    assert [frame.index for frame in filled] == list(range(COUNT))
    for number, frame in enumerate(filled):
        assert torch.equal(frame.pixels, whole[number - (number == BAD)].pixels)
    assert "the rest was used as it came" in source.notes[-1]
    assert "1 were filled with the frame before" in filled_source.notes[-1]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_end_of_a_file_that_was_cut_off_is_filled_to_its_length(tmp_path, name):
    options = {"movflags": "+faststart"} if name == "a.mp4" else {}
    path = noise(tmp_path / name, 40, "mpeg4", options)
    whole = read(path, "fail")[1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(MediaError, match=r"40 frames were expected and \d\d decoded"):
        read(path, "fail")
    came, (source, filled) = read(path, "warn")[1], read(path, "repeat")
    assert 20 < len(came) < 40
    assert [frame.pts for frame in filled] == [frame.pts for frame in whole]
    assert torch.equal(filled[-1].pixels, filled[-2].pixels)
    assert source.damage.repeated >= 40 - len(came)


def test_more_than_half_is_not_made_up(tmp_path):
    path = noise(tmp_path / "a.mp4", 40, "mpeg4", {"movflags": "+faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 5])
    with pytest.raises(MediaError, match="too few to fill the rest with"):
        read(path, "repeat")
    assert read(path, "warn")[1]


def test_what_ffmpeg_reports_counts_though_all_frames_came(tmp_path):
    path, found = noise(tmp_path / "a.mkv", 20), 0
    whole = path.read_bytes()
    for seed in range(12):
        rng, spoilt = np.random.default_rng(seed), bytearray(whole)
        spoilt[rng.integers(len(whole) // 2, len(whole))] ^= 1 << rng.integers(0, 8)
        path.write_bytes(spoilt)
        found += read(path, "warn")[0].damage.reported > 0
    assert found > 3


def test_the_wish_is_known_and_recorded(damaged, tmp_path, capsys):
    with pytest.raises(RequestError, match="no way with damage 'mend'; known: fail, warn, repeat"):
        opened(damaged, "mend")
    with pytest.raises(MediaError, match="cut off or damaged"):
        recast.open_clip(damaged)
    assert len(recast.open_clip(damaged, on_damage="repeat")) == COUNT
    model, target = str(written(tmp_path / "model")), tmp_path / "out.mkv"
    asked = ["edit", str(damaged), "-p", "snow", "-m", model, "--steps", "1", "-q", "-o", str(target)]
    assert run(asked) == 2
    assert not target.exists()
    assert run([*asked, "--on-damage", "repeat"]) == 0
    assert "1 were filled with the frame before" in capsys.readouterr().err
    record = json.loads(embedded(target) or "")
    assert record["request"]["on_damage"] == "repeat"
    assert "1 were filled with the frame before" in record["notes"][-1]
    assert [frame.pts for frame in read(target, "fail")[1]] == [40 * number for number in range(COUNT)]


@pytest.mark.parametrize(("wish", "kept"), [("warn", [0, 1, 3, 4]), ("repeat", [0, 1, 1, 3, 4])])
def test_a_damaged_picture_of_a_sequence_is_left_out_or_filled_as_asked(tmp_path, wish, kept):
    for number in range(5):
        Image.new("RGB", (16, 8), (50 * number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:50])
    with pytest.raises(MediaError, match=r"2\.png; mend it, or say --on-damage repeat"):
        list(frames(opened(tmp_path), Window()))
    source = opened(tmp_path, wish)
    for _ in range(2):  # read twice, counted once
        shown = list(frames(source, Window()))
        assert [int(frame.pixels[0, 0, 0]) // 50 for frame in shown] == kept
        assert [frame.seconds * source.fps for frame in shown] == ([0, 1, 3, 4] if wish == "warn" else [0, 1, 2, 3, 4])
        assert "the file is damaged: 1 frame is missing" in source.notes[-1]
    late = next(frames(opened(tmp_path, wish), Window(start=3 / 24)))
    assert (late.index, int(late.pixels[0, 0, 0])) == (3, 150)


def test_a_mask_of_a_damaged_clip_has_its_frames(damaged, capsys):
    flags = ["mask", str(damaged), "--box", "8,8,20,20", "-o", str(damaged.with_name("mask.mkv"))]
    assert run(flags) == 2
    assert "--on-damage" in capsys.readouterr().err
    assert run([*flags, "--on-damage", "repeat"]) == 0
    assert "note: the file is damaged" in capsys.readouterr().err
    assert len(list(frames(opened(damaged.with_name("mask.mkv")), Window()))) == COUNT
