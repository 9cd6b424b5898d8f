"""What becomes of odd files: `python benchmarks/footage_io.py FOLDER` prints a table for docs/formats.md.

Each file of FOLDER (and of its folder derived/) is read and written unchanged as H.264 in MP4, at most `--frames` of
it, and what was written is read again. Compared are the frames (mean difference of pixels, as H.264 loses some), their
number, times and size, and the packets of each track of sound. A file that is refused is listed with the reason.
"""

import argparse
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av

from recast.errors import MediaError
from recast.video.read import Window, frames, opened
from recast.video.source import Source
from recast.video.write import writing

EVEN_CLOSER = Fraction(1, 1000)
"""Seconds that two times may differ."""


def sound_packets(path: Path) -> list[set[bytes]]:
    """What the packets of each track of sound hold."""
    if not path.is_file():
        return []
    with av.open(str(path)) as file:
        found = {stream.index: set[bytes]() for stream in file.streams if stream.type == "audio"}
        for packet in file.demux(*(file.streams[index] for index in found)) if found else ():
            found[packet.stream.index].add(bytes(packet))
    return list(found.values())


def result(source: Source, target: Path, most: int) -> tuple[str, tuple[str, ...]]:
    """What was found of one file, and the notes that a user gets."""
    window = Window(max_frames=most)
    times, total = [], 0.0
    with writing(target, source, window, record=None) as writer:
        for frame in frames(source, window):
            times.append(frame.seconds)
            writer.add(frame.pixels, frame)
    back = opened(target)
    count = 0
    for one, other in zip(frames(source, window), frames(back, Window()), strict=True):
        total += float((one.pixels.float() - other.pixels.float()).abs().mean())
        apart = abs(other.seconds - (one.seconds - times[0]))
        assert apart <= EVEN_CLOSER, (source.path, count, float(apart))
        count += 1
    assert back.size == source.size, source.path
    before, after = sound_packets(source.path), sound_packets(target)
    copied = sum(bool(track) and any(track <= other for other in before) for track in after)
    sound = f", {copied} of {len(before)} sound tracks copied" if before else ""
    rows, columns = source.size
    found = f"{count} frames of {columns}x{rows}, times kept, mean difference {total / count:.1f}{sound}"
    return found, (*source.notes, *writer.notes)


def files(folder: Path) -> Iterator[Path]:
    """The files of the folder and of derived/, where folders are sequences of pictures."""
    yield from sorted(path for path in folder.iterdir() if path.is_file())
    yield from sorted((folder / "derived").iterdir()) if (folder / "derived").is_dir() else ()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=12)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| file | result | notes |\n| --- | --- | --- |")
    with TemporaryDirectory() as folder:
        for number, path in enumerate(files(asked.folder)):
            try:
                found, notes = result(opened(path), Path(folder) / f"{number}.mp4", asked.frames)
            except MediaError as error:
                found, notes = f"refused: {str(error).rpartition(':')[0]}", ()
            print(f"| {path.relative_to(asked.folder)} | {found} | {'; '.join(notes)} |", flush=True)


if __name__ == "__main__":
    main()
