"""Tiny clips in all containers and codecs that are at hand, and malformed copies of them, by number."""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import Image

os.environ["SVT_LOG"] = "0"  # it would tell of itself on the terminal
FRAMES, ROWS, COLUMNS = 12, 48, 64
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264.mp4": ("libx264", "yuv420p", {}),
    "h264.mkv": ("libx264", "yuv420p", {}),
    "h264.ts": ("libx264", "yuv420p", {}),
    "h264.flv": ("libx264", "yuv420p", {}),
    "fragments.mp4": ("libx264", "yuv420p", {"movflags": "frag_keyframe+empty_moov"}),
    "fast.mp4": ("libx264", "yuv444p", {"movflags": "faststart"}),
    "hevc.mp4": ("libx265", "yuv420p", {}),
    "hevc10.mkv": ("libx265", "yuv420p10le", {}),
    "vp8.webm": ("libvpx", "yuv420p", {}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {}),
    "alpha.webm": ("libvpx-vp9", "yuva420p", {}),
    "av1.mp4": ("libsvtav1", "yuv420p", {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {}),
    "mpeg4.mov": ("mpeg4", "yuv420p", {}),
    "mpeg2.ts": ("mpeg2video", "yuv420p", {}),
    "mpeg1.mpg": ("mpeg1video", "yuv420p", {}),
    "prores.mov": ("prores_ks", "yuv422p10le", {}),
    "ffv1.mkv": ("ffv1", "yuv420p", {}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "png.mov": ("png", "rgb24", {}),
    "raw.avi": ("rawvideo", "yuv420p", {}),
    "pictures.gif": ("gif", "rgb8", {}),
}
"""Name, and encoder, pixel format and options of the container."""
WITH_SOUND = {"h264.mp4", "h264.mkv", "h264.flv", "mpeg4.avi", "h264.ts"}
NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x01", b"\0\x01\0\0")


@dataclass(frozen=True)
class MediaMutant:
    """A malformed copy: of which seed, how it was made, its bytes."""

    seed: str
    how: str
    data: bytes


@cache
def seeds() -> dict[str, bytes]:
    """The whole files that this build of FFmpeg can make, and three of Pillow's, by name."""
    with TemporaryDirectory() as folder:
        made = {name: _made(Path(folder) / name) for name in (*KINDS, "a.png", "a.jpg", "a.webp")}
    return {name: data for name, data in made.items() if data is not None}


def _made(path: Path) -> bytes | None:
    if path.name.startswith("a."):
        first, *rest = (Image.fromarray(picture(number)) for number in range(4))
        more = {"save_all": True, "append_images": rest, "duration": 40} if path.suffix == ".webp" else {}
        first.save(path, **more)
        return path.read_bytes()
    try:
        _encode(path, *KINDS[path.name])
    except (av.error.FFmpegError, ValueError):  # an encoder that this build lacks
        return None
    return path.read_bytes()


def _encode(path: Path, codec: str, pixels: str, options: dict[str, str]) -> None:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25, options={"g": "6", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = ROWS, COLUMNS, pixels
        sound = container.add_stream("aac", rate=48_000, layout="mono") if path.name in WITH_SOUND else None
        for number in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode(None))
        for start in range(0, 48_000 * FRAMES // 25 if sound else 0, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.pts, frame.rate, frame.time_base = start, 48_000, Fraction(1, 48_000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None) if sound else [])


def picture(number: int) -> np.ndarray:
    """A busy picture that differs from frame to frame."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    ramp = np.stack([rows * 4 + number * 9, columns * 3, rows + columns], -1)
    return (ramp + rng.integers(0, 60, (ROWS, COLUMNS, 3))).clip(0, 255).astype(np.uint8)


def mutants(count: int, seed: int = 0) -> Iterator[MediaMutant]:
    """So many malformed files; the same ones for the same seed."""
    held = sorted(seeds().items())
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        name, data = held[number % len(held)]
        how = rng.choice(list(WAYS))
        yield MediaMutant(name, f"{how} {number}", WAYS[how](data, rng))


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _bits(data: bytes, rng: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        spoilt[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def _head(data: bytes, rng: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        spoilt[rng.randrange(min(600, len(data)))] = rng.randrange(256)
    return bytes(spoilt)


def _burst(data: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(data)), rng.randint(1, 400)
    put = bytes(length) if rng.random() < 0.5 else rng.randbytes(length)
    return (data[:start] + put + data[start + length :])[: len(data)]


def _number(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(max(1, len(data) - 4))
    return data[:start] + rng.choice(NUMBERS) + data[start + 4 :]


def _moved(data: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(data)), rng.randint(1, 3000)
    taken = data[start : start + length]
    rest = data[:start] + data[start + length :]
    place = rng.randrange(len(rest) + 1)
    return rest if rng.random() < 0.5 else rest[:place] + taken + (taken if rng.random() < 0.5 else b"") + rest[place:]


def _spliced(data: bytes, rng: random.Random) -> bytes:
    other = rng.choice(sorted(seeds().values()))
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": _cut,
    "bits": _bits,
    "head": _head,
    "burst": _burst,
    "number": _number,
    "moved": _moved,
    "spliced": _spliced,
}
