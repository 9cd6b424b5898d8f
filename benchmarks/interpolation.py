"""How near frames between frames come to the clip's own: `python benchmarks/interpolation.py [FOLDER]`.

Of every clip each second frame is left out and made again from its neighbours: by flow (`recast interpolate`), by both
frames warped half of their flow (`midpoint`, which knows no hiding), as their mean, and as the frame before. A row for
worlds, and one for each video of FOLDER; means of decibels over the frames that were left out. `-m` adds a model that
is held to the neighbours, for which the clip is named by `-p`.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import torch

import recast
from recast.conditions.interpolation import FrameGap
from recast.conditions.propagation import midpoint
from recast.editing.held_keys import by_model
from recast.editing.interpolate import Rate
from recast.editing.request import Request
from recast.evaluation.cases.worlds import case
from recast.evaluation.metrics.fidelity import psnr
from recast.types import Frames

HALF = Fraction(1, 2)
WAYS = ("flow", "midpoint", "mean", "before")


def made(one: Frames, other: Frames) -> list[Frames]:
    """What each of WAYS takes for the frame between."""
    mean = (one.float() + other.float()) / 2
    return [FrameGap.of(one, other).at(HALF), midpoint(one, other).round().clamp(0, 255).byte(), mean.byte(), one]


def decibels(clip: Frames) -> list[float]:
    """The mean over all left-out frames, one for each of WAYS."""
    gaps = zip(clip[:-2:2], clip[1:-1:2], clip[2::2], strict=True)
    rows = [[psnr(each, truth[None]) for each in made(one[None], other[None])] for one, truth, other in gaps]
    return torch.tensor(rows).mean(0).tolist()


def clips(asked: argparse.Namespace) -> Iterator[tuple[str, Frames]]:
    """By name, an odd number of frames each."""
    for number in range(asked.worlds):
        frames = torch.from_numpy(case(number, asked.size, asked.frames).source.frames)
        yield "worlds", frames.permute(0, 3, 1, 2).contiguous()
    for path in sorted(asked.folder.glob("*.*")) if asked.folder else ():
        rows, columns = recast.open_clip(path, max_frames=1).size
        scale = asked.size / min(rows, columns)
        size = round(rows * scale / 2) * 2, round(columns * scale / 2) * 2
        frames = recast.open_clip(path, max_frames=asked.frames, size=size).frames
        if len(frames) >= 3:
            yield path.name, frames[: len(frames) - 1 + len(frames) % 2]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--worlds", type=int, default=30)
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("-m", "--model")
    parser.add_argument("-p", "--prompt", default="")
    parser.add_argument("--strength", type=float, default=0.5)
    asked = parser.parse_args()
    rows: dict[str, list[list[float]]] = {}
    for name, frames in clips(asked):
        row = decibels(frames)
        if asked.model:
            request = Request.asked(model=asked.model, words=asked.prompt, strength=asked.strength, cuts="none")
            maker = by_model(request, Rate(2), Fraction(16), recast.load(asked.model).model)
            keys = frames[::2][: maker.keys]
            picks = [(number, HALF) for number in range(len(keys) - 1)]
            row.append(psnr(torch.cat(list(maker.made(keys, picks))), frames[1 : 2 * len(keys) - 2 : 2]))
        rows.setdefault(name, []).append(row)
    ways = (*WAYS, *([f"{asked.model}, {asked.strength:g}"] if asked.model else []))
    print(f"| clip | {' | '.join(ways)} |")
    print("|---" * (1 + len(ways)) + "|")
    for name, held in rows.items():
        print(f"| {name} | {' | '.join(f'{value:.1f}' for value in torch.tensor(held).mean(0).tolist())} |")


if __name__ == "__main__":
    main()
