"""What a long clip takes: `python benchmarks/long_clip.py --frames 18000 --segment 64 --set steps=1`.

Draws a clip of 640x360 whose ground moves, with sound, edits it file to file, and prints one JSON object: frames, size,
rate, sound and times against the source's, seconds, the resident memory at the end of the first segment and how much it
grew for each 1,000 frames after that, how much more neighbouring frames differ where segments meet than elsewhere, and
how far the mean colours of the ground's later rounds are from that of its first.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import av
import numpy as np
import torch

from recast.cli.flags import parsed
from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.segments import Segmentation
from recast.engine.device import resident_bytes
from recast.evaluation.metrics.colour import de2000, lab
from recast.video.read import Window, frames, opened

ROWS, COLUMNS, FPS, SOUND_RATE = 360, 640, 30, 48000
ROUND = 1320
"""How far the ground moves until it is back where it was, in pixels."""


def drawn(count: int, speed: int = 2) -> Iterator[np.ndarray]:
    """Frames of a coloured ground that moves to the left, `speed` pixels a frame, behind a square that goes round."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 216, (9, 33, 3), dtype=np.uint8)
    ground = np.repeat(np.repeat(coarse, 40, axis=0), 40, axis=1)[:ROWS]
    for number in range(count):
        frame = np.roll(ground, -speed * number, axis=1)[:, :COLUMNS].copy()
        row = round(ROWS / 2 + ROWS / 4 * np.sin(number / 40))
        frame[row - 40 : row + 40, 280:360] = (200, 60, 40)
        yield frame


def write_source(path: Path, count: int, speed: int) -> None:
    """The clip as H.264 with a tone as AAC."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height, video.pix_fmt = COLUMNS, ROWS, "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        samples = SOUND_RATE // FPS
        for number, frame in enumerate(drawn(count, speed)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            tone = np.sin(2 * np.pi * 440 * (number * samples + np.arange(samples)) / SOUND_RATE)
            part = av.AudioFrame.from_ndarray((0.2 * tone).astype(np.float32)[None], format="fltp", layout="mono")
            part.rate, part.pts = SOUND_RATE, number * samples
            container.mux(sound.encode(part))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def packets(path: Path) -> list[tuple[int, int]]:
    """Time and length of each packet of sound."""
    with av.open(str(path)) as container:
        return [(packet.pts or 0, packet.size) for packet in container.demux(audio=0) if packet.size]


def seams(path: Path, cut: Segmentation, count: int) -> float:
    """Mean difference of neighbouring frames while a segment hands over, over that of all others."""
    borders = {span.start + number for span in cut.spans(count)[1:] for number in range(cut.shared + 1)}
    at, elsewhere, before = [], [], None
    for frame in frames(opened(path), Window()):
        if before is not None:
            difference = float((frame.pixels.float() - before).abs().mean())
            (at if frame.index in borders else elsewhere).append(difference)
        before = frame.pixels.float()
    return float(np.mean(at) / np.mean(elsewhere)) if at else 1.0


def drift(path: Path, turn: int) -> list[float]:
    """How far mean colours of each whole round of the ground, `turn` frames, are from the first one's, CIEDE2000."""
    sums, counts = dict[int, torch.Tensor](), Counter[int]()
    for frame in frames(opened(path), Window()):
        place = frame.index // turn
        counts[place] += 1
        sums[place] = sums.get(place, torch.zeros(3)) + frame.pixels.float().mean((1, 2))
    means = [sums[place] / turn for place, count in sorted(counts.items()) if count == turn]
    colours = [lab(mean.round().to(torch.uint8)[None, :, None, None]).flatten(0, -2) for mean in means]
    return [round(float(de2000(colours[0], colour)), 2) for colour in colours[1:]]


def measured(folder: Path, asked: argparse.Namespace, settings: dict[str, object]) -> dict[str, object]:
    """The figures of one edit."""
    source, target, count, segment = folder / "source.mp4", folder / "edited.mp4", asked.frames, asked.segment
    write_source(source, count, asked.speed)
    request = Request.asked(source=source, target=target, prompt="a snowy field", segment=segment, **settings)
    model = Model.loaded(request.model)
    cut, memory = Segmentation.of(resolve(request, model, opened(source))), list[float]()

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "denoise" and done * len(cut.spans(count)) >= total * (len(memory) + 1):
            memory.append(resident_bytes() / 2**20)
            print(f"segment {len(memory)}: {memory[-1]:.0f} MiB", file=sys.stderr)

    began = perf_counter()
    result = edit(request, model, watch)
    before, after = opened(source), opened(target)
    later = [frame.seconds for frame in frames(after, Window())]
    times = [frame.seconds for frame in frames(before, Window())]
    return {
        "frames": [before.num_frames, result.num_frames, len(later)],
        "size and rate kept": (before.size, before.fps) == (after.size, after.fps),
        "largest change of a time, s": float(max(abs(a - b) for a, b in zip(times, later, strict=True))),
        "sound kept": packets(source) == packets(target),
        "seconds": round(perf_counter() - began, 1),
        "MiB after the first segment": round(memory[0]),
        "MiB more per 1,000 frames": round(_slope(memory, cut), 2),
        "differences at seams, over others": round(seams(target, cut, count), 3),
        "colour drift of each round, dE2000": drift(target, ROUND // asked.speed),
    }


def _slope(memory: list[float], cut: Segmentation) -> float:
    places = np.arange(len(memory)) * cut.stride / 1000
    return float(np.polyfit(places, memory, 1)[0]) if len(memory) > 1 else 0.0


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=18000)
    parser.add_argument("--segment", type=int, default=64)
    parser.add_argument("--speed", type=int, default=2, help="of the ground, in pixels a frame")
    parser.add_argument("--set", action="append", default=[])
    asked = parser.parse_args()
    settings = dict(parsed(each) for each in asked.set)
    with TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), asked, settings)))


if __name__ == "__main__":
    main()
