"""Small video files, made by PyAV alone, and copies of them made by what is under test."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from recast.video.read import Frame, Source, Window, frames
from recast.video.write import writing

RECORD = json.dumps({"prompt": "a paper boat, ünïcode", "seed": 3})
NTSC = Fraction(30000, 1001)


@dataclass(frozen=True)
class SourceSpec:
    """How to make a source without the code under test."""

    size: tuple[int, int] = (48, 64)
    times: tuple[int, ...] = tuple(range(0, 12012, 1001))
    time_base: Fraction = Fraction(1, 30000)
    sound: str | None = None
    turned: int = 0
    codec: str = "libx264"


def made(path: Path, spec: SourceSpec) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(spec.codec, rate=NTSC, options={"bf": "0", "flags": "+frame_duration"})
        stream.height, stream.width = spec.size
        stream.pix_fmt = "yuv444p" if spec.codec == "libx264" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = spec.time_base
        if spec.turned:
            stream.set_display_rotation(spec.turned)
        sound = container.add_stream(spec.sound, rate=48000) if spec.sound else None
        if sound:
            sound.layout = "mono"
        ends = [*spec.times[1:], spec.times[-1] + 1001]
        for index, (time, end) in enumerate(zip(spec.times, ends, strict=True)):
            frame = av.VideoFrame.from_ndarray(picture(spec.size, index), format="rgb24")
            frame.pts, frame.duration, frame.time_base = time, end - time, spec.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            tone(container, sound, float(ends[-1] * spec.time_base))
    return path


def tone(container, stream, seconds: float) -> None:
    for start in range(0, int(48000 * seconds), 960):
        samples = np.sin(np.arange(start, start + 960, dtype=np.float32) * 0.05)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.pts, frame.rate, frame.time_base = start, 48000, Fraction(1, 48000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def picture(size: tuple[int, int], index: int) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.stack([rows * 3 + index * 5, columns * 2, rows + columns], -1).clip(0, 255).astype(np.uint8)


def copied(source: Source, target: Path, window: Window | None = None, **options) -> list[Frame]:
    window = window or Window()
    kept = list(frames(source, window))
    with writing(target, source, window, record=RECORD, **options) as writer:
        for frame in kept:
            writer.add(frame.pixels, frame)
    return kept


def noise(
    path: Path,
    count: int = 40,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    size: tuple[int, int] = (48, 64),
) -> Path:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25, options={"g": "10"})
        (stream.height, stream.width), stream.pix_fmt = size, "yuv420p"
        for _ in range(count):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
