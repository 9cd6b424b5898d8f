"""What was damaged in a file stands in its notes, and nothing stands there of whole files."""

import json
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import noise

from recast.cli.app import run
from recast.errors import RecastError
from recast.video.read import Window, frames, opened
from recast.video.record import embedded
from tiny_folder import written

CODECS = {
    "a.mp4": "libx264",
    "a.mkv": "libx264",
    "a.webm": "libvpx-vp9",
    "a.avi": "mpeg4",
    "a.ts": "mpeg2video",
    "a.mov": "mpeg4",
}


def flipped(data: bytes, seed: int) -> bytes:
    """A few single bits turned over, past the header."""
    rng, spoilt = np.random.default_rng(seed), bytearray(data)
    for place in rng.integers(len(data) // 20, len(data), rng.integers(1, 6)):
        spoilt[place] ^= 1 << rng.integers(0, 8)
    return bytes(spoilt)


def damage_notes(path: Path) -> tuple[int, list[str]]:
    source = opened(path, "warn")
    count = sum(1 for _ in frames(source, Window()))
    return count, [note for note in source.notes if note.startswith("the file is damaged: ")]


@pytest.mark.parametrize(("name", "codec"), CODECS.items())
def test_frames_that_are_missing_are_noted_and_whole_files_are_not(tmp_path, name, codec):
    whole = noise(tmp_path / name, 20, codec).read_bytes()
    assert damage_notes(tmp_path / name) == (20, [])
    for seed in range(25):
        (tmp_path / f"spoilt-{name}").write_bytes(flipped(whole, seed))
        with suppress(RecastError):
            count, notes = damage_notes(tmp_path / f"spoilt-{name}")
            assert count >= 20 or notes, f"{count} of 20 frames, seed {seed}"
            assert len(notes) <= 1


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_what_the_decoder_calls_corrupt_is_noted_once_however_often_it_is_read(tmp_path, name, codec):
    whole, noted = noise(tmp_path / name, 20, codec).read_bytes(), 0
    for seed in range(25):
        (tmp_path / name).write_bytes(flipped(whole, seed))
        with suppress(RecastError):
            source = opened(tmp_path / name, "warn")
            pixels = [frame.pixels for frame in frames(source, Window())]
            once = source.notes
            assert len(list(frames(source, Window()))) == len(pixels)
            assert source.notes == once
            noted += any("decoded with errors" in note for note in once)
    assert noted > 5


def with_one_bad_packet(path: Path, count: int = 20) -> Path:
    """Frames that each stand alone, the middle one's packet overwritten."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for _ in range(count):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    whole, spoilt = path.read_bytes(), packets[count // 2]
    assert whole.count(spoilt) == 1
    path.write_bytes(whole.replace(spoilt, bytes(len(spoilt))))
    return path


def test_a_packet_that_cannot_be_decoded_is_counted(tmp_path):
    count, (note,) = damage_notes(with_one_bad_packet(tmp_path / "a.mov"))
    assert count == 19
    assert "1 packet could not be decoded" in note
    assert "1 frame is missing" in note


def test_damage_stands_on_the_terminal_and_in_the_record(tmp_path, capsys):
    with_one_bad_packet(tmp_path / "a.mov")
    model, target = str(written(tmp_path / "model")), tmp_path / "out.mp4"
    asked = ["edit", str(tmp_path / "a.mov"), "-p", "snow", "-m", model, "--steps", "1", "-q", "-o", str(target)]
    assert run([*asked, "--on-damage", "warn"]) == 0
    assert "note: the file is damaged: 1 packet could not be decoded" in capsys.readouterr().err
    record = embedded(target)
    assert record is not None
    assert any(note.startswith("the file is damaged") for note in json.loads(record)["notes"])
