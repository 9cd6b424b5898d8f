"""Whatever a file holds, reading it gives frames or one line of MediaError."""

import os
import zlib
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from video_files import noise

from recast.errors import MediaError, RecastError
from recast.video.read import Window, frames, opened
from recast.video.record import embedded


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 48000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def num_frames(path: Path) -> int:
    return sum(1 for _ in frames(opened(path), Window()))


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0d" + body + zlib.crc32(body).to_bytes(4, "big")


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    return folder / "text.mp4"


def bare_folder(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "notes.txt").touch()
    return folder / "pictures"


def pattern_of_nothing(folder: Path) -> Path:
    return folder / "shot_%04d.png"


def sound_alone(folder: Path) -> Path:
    return sound(folder / "sound.mp4")


def unlisted_codec(folder: Path) -> Path:
    return noise(folder / "flash.avi", 2, "flv")


def beheaded(folder: Path) -> Path:
    data = noise(folder / "whole.mp4").read_bytes()
    (folder / "beheaded.mp4").write_bytes(data[: len(data) // 2])
    return folder / "beheaded.mp4"


def cut_mp4(folder: Path) -> Path:
    data = noise(folder / "whole.mp4", options={"movflags": "+faststart"}).read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    return folder / "cut.mp4"


def cut_mkv(folder: Path) -> Path:
    data = noise(folder / "whole.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(data[: len(data) // 2])
    return folder / "cut.mkv"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def huge_picture(folder: Path) -> Path:
    (folder / "huge.png").write_bytes(png_header(30_000, 30_000) + b"\0\0\0\0IDAT")
    return folder / "huge.png"


def broken_picture(folder: Path) -> Path:
    Image.new("RGB", (64, 64), "red").save(folder / "whole.png")
    (folder / "half.png").write_bytes((folder / "whole.png").read_bytes()[:60])
    return folder / "half.png"


def differing_pictures(folder: Path) -> Path:
    for number, size in ((1, (8, 8)), (2, (9, 8))):
        Image.new("RGB", size).save(folder / f"p{number}.png")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (missing, "no such file"),
        (empty, "not a video"),
        (text, "not a video"),
        (bare_folder, "holds no pictures"),
        (pattern_of_nothing, "no picture is named"),
        (sound_alone, "only sound"),
        (unlisted_codec, "does not read flv1"),
        (beheaded, "not a video"),
        (cut_mp4, r"40 frames were expected and \d+ decoded"),
        (cut_mkv, r"40 frames were expected and \d+ decoded"),
        (pipe, "no regular file"),
        (huge_picture, "damaged|more than"),
        (broken_picture, "damaged"),
        (differing_pictures, "differ in size"),
    ],
)
def test_each_bad_input_is_told_in_one_line(tmp_path, make, message):
    path = make(tmp_path)
    with pytest.raises(MediaError, match=message) as caught:
        num_frames(path)
    line = str(caught.value)
    assert "\n" not in line
    assert "0x" not in line
    assert str(path.parent) in line


def test_a_frame_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    with av.open(str(tmp_path / "vast.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 4104, 8192, "gray"
        frame = av.VideoFrame.from_ndarray(np.zeros((4104, 8192), np.uint8), format="gray")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(MediaError, match=r"more than 33554432 pixels a frame"):
        opened(tmp_path / "vast.mkv")


def test_playlists_reach_no_other_file(tmp_path):
    secret = noise(tmp_path / "secret.mp4", 3)
    for name, message in (
        ("list.mp4", f"ffconcat version 1.0\nfile {secret.name}\n"),
        ("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"),
    ):
        (tmp_path / name).write_text(message)
        with pytest.raises(MediaError):
            opened(tmp_path / name)
    for name in (f"concat:{secret}", f"subfile,,start,0,end,0,,:{secret}", f"file:{secret}"):
        with pytest.raises(MediaError, match="no such file"):
            opened(name)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.gif", "p.png", "v.webm"])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_damaged_bytes_give_frames_or_an_error_of_ours(tmp_path_factory, name, seed):
    data = bytearray(_seed_file(name))
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(data), rng.integers(1, 12)):
        data[place] = rng.integers(0, 256)
    if rng.integers(0, 3) == 0:
        del data[rng.integers(0, len(data)) :]
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(data)
    for use in (num_frames, embedded):
        with suppress(RecastError):
            use(path)


SEEDS: dict[str, bytes] = {}


def _seed_file(name: str) -> bytes:
    if name not in SEEDS:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            if name.endswith(".png"):
                Image.new("RGB", (32, 24), "teal").save(path)
            elif name.endswith(".gif"):
                pictures = [Image.new("RGB", (32, 24), (i * 40, 0, 90)) for i in range(4)]
                pictures[0].save(path, save_all=True, append_images=pictures[1:])
            else:
                noise(path, 12, {".mp4": "libx264", ".mkv": "libx264", ".avi": "mpeg4", ".webm": "libvpx"}[path.suffix])
            SEEDS[name] = path.read_bytes()
    return SEEDS[name]
