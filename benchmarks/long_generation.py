"""Seams and drift of long clips from words: `python benchmarks/long_generation.py -m animatediff --frames 128`.

One clip by each way to make long ones, and by FreeNoise over overlapping windows, from one seed. Seam: how much frames
differ across the places where windows or parts meet, over how much they differ elsewhere. Step: how much neighbours
differ, of 255. Drift: how far the mean colour of the last window's frames is from that of the first's, in CIEDE2000;
farthest: the farthest that any frame's is. Contrast: of the last window's frames over that of the first's. A sheet of
each clip is written, to be looked at.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import torch

import recast
from recast.diffusion.windows import starts
from recast.evaluation.metrics.colour import de2000, lab
from recast.types import Frames
from recast.video.sheet import saved, sheet

WAYS: dict[str, dict[str, object]] = {
    "overlap": {"long": "overlap"},
    "gen-l-video": {"long": "gen-l-video"},
    "freenoise": {"long": "overlap", "noise": "freenoise"},
    "stream": {"long": "stream"},
    "keys": {"long": "keys"},
}
"""Settings of each way."""


def seams(way: str, frames: int, window: int, overlap: int) -> list[int]:
    """First frames behind the places where windows or parts meet."""
    if way == "stream":
        return list(range(window, frames, window - overlap))
    if way == "keys":
        keys = torch.linspace(0, frames - 1, window).round().long()[1:-1].tolist()
        return sorted({*keys, *(key + 1 for key in keys)})
    firsts = starts(frames, window, overlap)
    return sorted({*firsts[1:], *(first + window for first in firsts if first + window < frames)})


def measured(frames: Frames, met: list[int], window: int) -> dict[str, float]:
    """What is measured of one clip."""
    pixels, colours = frames.float(), lab(frames).mean((1, 2))
    steps = (pixels[1:] - pixels[:-1]).abs().mean((1, 2, 3))
    across = torch.zeros(len(steps), dtype=torch.bool)
    across[[first - 1 for first in met]] = True
    apart = de2000(colours[:window].mean(0), colours)
    contrast = pixels.std((2, 3)).mean(1)
    return {
        "seam": (steps[across].mean() / steps[~across].mean()).item(),
        "step": steps.mean().item(),
        "drift": de2000(colours[:window].mean(0), colours[-window:].mean(0)).item(),
        "farthest": apart.max().item(),
        "contrast": (contrast[-window:].mean() / contrast[:window].mean()).item(),
    }


def rows(asked: argparse.Namespace) -> Iterator[dict[str, object]]:
    """A row for each way."""
    editor = recast.load(asked.model)
    fixed = {"prompt": asked.prompt, "frames": asked.frames, "seed": asked.seed, "steps": asked.steps}
    fixed |= {"size": asked.size, "window": asked.window, "flat_structure": asked.flat_structure}
    for way, settings in WAYS.items():
        began = process_time()
        frames = editor.generate(**fixed | settings).frames
        seconds = round(process_time() - began, 1)
        met = seams(way, len(frames), asked.window, asked.window // 2)
        saved(sheet([list(frames)], [way], columns=16, height=96), asked.sheets / f"{way}.png")
        found = {name: round(value, 3) for name, value in measured(frames, met, asked.window).items()}
        yield {"way": way, "processor seconds": seconds} | found


def main() -> None:
    """Prints the rows as JSON, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="animatediff")
    parser.add_argument("-p", "--prompt", default="a dog in snow")
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--size", default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flat-structure", action="store_true", help="for models that always read a structure")
    parser.add_argument("--sheets", type=Path, default=Path())
    asked = parser.parse_args()
    asked.sheets.mkdir(parents=True, exist_ok=True)
    for row in rows(asked):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
