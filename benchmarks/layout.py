"""Whether words stay in the boxes of a layout: `python benchmarks/layout.py -m pocket-words`.

A ball of each of some colours on a meadow, in a box that goes from one side of the frame to the other, left to right
and right to left, with the layout and, from the same seed, without it. Of each clip: the share of the places of the
ball's colour that are in the box, and the correlation over the frames of their centre with the box's, both along the
width. A row for each clip, then means. A sheet of each pair is written, to be looked at. The models that ship always
read a structure and are given a flat one.
"""

import argparse
import json
from pathlib import Path
from time import process_time

import torch

import recast
from recast.networks.box_energy import centres, covered
from recast.types import Frames
from recast.video.sheet import saved, sheet

HUES = {"red": (1, 0, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
LEAST = 0.15
"""By how much a place's colour stands out over others to be the ball's."""
SIDES = {"right": ((0.05, 0.35), (0.65, 0.95)), "left": ((0.65, 0.95), (0.05, 0.35))}
TOP, BOTTOM = 0.3, 0.8


def layout(side: str, frames: int) -> dict[str, object]:
    """A layout as a JSON file holds it."""
    ends = zip((0, frames - 1), SIDES[side], strict=True)
    keys = [{"frame": frame, "box": [left, TOP, right, BOTTOM]} for frame, (left, right) in ends]
    return {"object": [{"words": "ball", "keys": keys}]}


def coloured(frames: Frames, colour: str) -> torch.Tensor:
    """1 where a pixel is of the colour, 0 elsewhere: [t h w]."""
    has = torch.tensor(HUES[colour], dtype=torch.bool)
    pixels = frames.float() / 255
    return ((pixels[:, has].amin(1) - pixels[:, ~has].amax(1)) > LEAST).float()


def measured(frames: Frames, colour: str, side: str) -> dict[str, float]:
    """Of one clip; a centre of nothing is not compared."""
    found, places = coloured(frames, colour), torch.linspace(0, 1, len(frames))[:, None]
    ends = torch.tensor([[left, TOP, right, BOTTOM] for left, right in SIDES[side]])
    boxes = torch.lerp(ends[0], ends[1], places)
    inside = covered(boxes, (found.shape[-2], found.shape[-1]))
    there = found.sum((-2, -1)) > 0
    asked = (boxes[:, 0] + boxes[:, 2]) / 2
    pairs = torch.stack([centres(found)[there, 0], asked[there]])
    followed = float(torch.corrcoef(pairs)[0, 1]) if there.sum() > 1 else 0.0
    return {
        "inside": float((found * inside).sum() / found.sum().clamp(min=1)),
        "followed": followed,
        "area": float(found.mean()),
    }


def main() -> None:
    """Prints a row for each clip as JSON, then the means of both kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="pocket-words")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--size", default="256x144")
    parser.add_argument("--sheets", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--scale", type=float, default=400.0)
    parser.add_argument("--until", type=float, default=0.5)
    asked = parser.parse_args()
    asked.sheets.mkdir(parents=True, exist_ok=True)
    editor, rows = recast.load(asked.model), []
    settings = {"frames": asked.frames, "size": asked.size, "steps": asked.steps, "flat_structure": True}
    strength = {"layout_scale": asked.scale, "layout_until": asked.until}
    for number, colour in enumerate(HUES):
        for side in SIDES:
            path, made = asked.sheets / f"{colour}-{side}.json", []
            path.write_text(json.dumps(layout(side, asked.frames)), "utf-8")
            for kind, more in (("layout", {"layout": path, **strength}), ("none", {})):
                began, words = process_time(), f"a {colour} ball on a meadow"
                frames = editor.generate(prompt=words, seed=asked.seed + number, **settings, **more).frames
                made.append(list(frames))
                row = {"ball": colour, "to": side, "kind": kind} | measured(frames, colour, side)
                rows.append(row)
                print(json.dumps(row | {"processor seconds": round(process_time() - began)}), flush=True)
            names = [f"{colour} ball to the {side}", "without the layout"]
            saved(sheet(made, names, columns=asked.frames, height=96), path.with_suffix(".png"))
    for kind in ("layout", "none"):
        held = [row for row in rows if row["kind"] == kind]
        means = {name: round(sum(row[name] for row in held) / len(held), 3) for name in ("inside", "followed", "area")}
        print(json.dumps({"kind": kind} | means))


if __name__ == "__main__":
    main()
