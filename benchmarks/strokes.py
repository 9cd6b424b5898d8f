"""Whether a clip moves along a stroke: `python benchmarks/strokes.py -m pocket-words`.

A point is dragged to the right, to the left, down, and not at all; noise moves with it, and nothing else says how the
clip should move. Optical flow (DIS) of the result, in pixels a frame along the stroke: the median within the stroke's
radius, and that of what is farther away than twice the radius, means over the frames. A row for each clip. Models that
always read a structure are given a flat one.
"""

import argparse
import json
from pathlib import Path
from time import process_time

import torch

import recast
from recast.conditions.flow import flow_between
from recast.curves import Keys
from recast.layout import Stroke
from recast.video.sheet import saved, sheet

RADIUS = 0.3
WAYS = {
    "right": ((0.35, 0.55), (0.65, 0.55)),
    "left": ((0.65, 0.55), (0.35, 0.55)),
    "down": ((0.5, 0.35), (0.5, 0.7)),
    "still": ((0.5, 0.55), (0.5, 0.55)),
}


def moved(frames: recast.Clip, stroke: Stroke) -> dict[str, object]:
    """Pixels a frame along the stroke: asked, near the point, and far from it."""
    rows, columns = frames.size
    extent, flow = torch.tensor([columns, rows]), flow_between(frames.frames[:-1], frames.frames[1:])
    points = stroke.at(range(len(frames))) * extent
    way = points[-1] - points[0]
    unit = way / way.norm() if way.any() else torch.tensor([1.0, 0.0])
    places = torch.stack(torch.meshgrid(torch.arange(columns) + 0.5, torch.arange(rows) + 0.5, indexing="xy"), dim=-1)
    along = torch.einsum("s c h w, c -> s h w", flow, unit)
    distance = (places[None] - points[:-1, None, None]).norm(dim=-1) / (RADIUS * min(rows, columns))
    near, far = (
        torch.stack([each[where].median() for each, where in zip(along, there, strict=True)]).mean()
        for there in (distance < 1, distance > 2)
    )
    return {
        name: round(float(each), 2)
        for name, each in {"asked": way.norm() / len(flow), "near": near, "far": far}.items()
    }


def main() -> None:
    """Prints a row for each clip as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="pocket-words")
    parser.add_argument("-p", "--prompt", default="a red car on a meadow")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sheets", type=Path, default=Path())
    asked = parser.parse_args()
    asked.sheets.mkdir(parents=True, exist_ok=True)
    editor, count = recast.load(asked.model), 8
    settings = {"frames": count, "size": "256x144", "steps": 8, "flat_structure": True, "prompt": asked.prompt}
    for way, ends in WAYS.items():
        path, made = asked.sheets / f"{way}.json", []
        keys = [{"frame": frame, "at": end} for frame, end in zip((0, count - 1), ends, strict=True)]
        path.write_text(json.dumps({"stroke": [{"radius": RADIUS, "keys": keys}]}), "utf-8")
        for seed in range(asked.seeds):
            began, stroke = process_time(), Stroke(Keys((0, count - 1)), ends, RADIUS)
            clip = editor.generate(seed=seed, strokes=path, **settings).clip
            made.append(list(clip.frames))
            seconds = round(process_time() - began)
            print(
                json.dumps({"to": way, "seed": seed} | moved(clip, stroke) | {"processor seconds": seconds}), flush=True
            )
        saved(
            sheet(made, [f"{way}, seed {seed}" for seed in range(asked.seeds)], columns=count), path.with_suffix(".png")
        )


if __name__ == "__main__":
    main()
