"""What decoding in a process of its own costs: start, opening a file, and frames a second, beside decoding in this one.

`python benchmarks/decoding.py [CLIP...]`; without clips two are made, H.264 at 640x360 and 1920x1080. The two ways take
turns, and the median of the rounds is printed: other work on the machine then troubles both alike, and seconds of
processors least of all.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from recast.video import isolated
from recast.video.read import Window, frames, opened

ROUNDS, FRAMES = 3, 60


def made(path: Path, columns: int, rows: int) -> Path:
    """A clip of moving noise over a ramp."""
    ground = np.random.default_rng(0).integers(0, 80, (rows, columns + FRAMES, 3), np.uint8)
    ramp = (np.mgrid[:rows, :columns].sum(0) * 160 // (rows + columns))[..., None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "20", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = rows, columns, "yuv420p"
        for number in range(FRAMES):
            picture = (ground[:, number : number + columns] + ramp).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def processor_seconds() -> float:
    """What this process, the one that forks, and its children that ended have used of a processor."""
    own = os.times()
    used = own.user + own.system
    server = isolated._server._process
    if server is not None:
        ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        used += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return used


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """How long it takes by the clock, and of processors."""
    used, began = processor_seconds(), time.perf_counter()
    work()
    took = time.perf_counter() - began
    time.sleep(0.2)  # a child is counted once its end was seen
    return took, processor_seconds() - used


def measure(path: Path) -> None:
    """Prints a line for each way."""
    taken: dict[tuple[bool, str], list[tuple[float, float]]] = {}
    count = sum(1 for _ in frames(opened(path, "warn"), Window(max_frames=FRAMES)))
    for _ in range(ROUNDS):
        for apart in (True, False):
            isolated.AVAILABLE = apart
            source = opened(path, "warn")
            taken.setdefault((apart, "open"), []).append(seconds(lambda: opened(path, "warn")))
            reading = seconds(lambda s=source: sum(1 for _ in frames(s, Window(max_frames=FRAMES))))
            taken.setdefault((apart, "read"), []).append(reading)
    rows, columns = source.size
    for apart in (True, False):
        (opening, opening_used), (reading, reading_used) = (
            tuple(map(statistics.median, zip(*taken[apart, what], strict=True))) for what in ("open", "read")
        )
        where = "own process" if apart else "this process"
        opens = f"{1000 * opening:.0f} ms to open ({1000 * opening_used:.0f} of processors)"
        reads = f"{count / reading:.1f} frames/s ({1000 * reading_used / count:.1f} ms of processors each)"
        print(f"{path.name} {columns}x{rows} {where}: {opens}, {reads}", flush=True)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path)
    clips = parser.parse_args().clips
    with tempfile.TemporaryDirectory() as folder:
        clips = clips or [made(Path(folder) / f"{h}.mp4", w, h) for w, h in ((640, 360), (1920, 1080))]
        first = seconds(lambda: opened(clips[0], "warn"))
        print(f"the first file, with the start of the process: {1000 * first[0]:.0f} ms", flush=True)
        for clip in clips:
            measure(clip)


if __name__ == "__main__":
    main()
