"""Whether scenes of a storyboard keep their subject, by the judge: `python benchmarks/storyboard.py -m pocket-words`.

Boards of three scenes that share a subject, "a red car", in three places, and the same boards without their subject.
The judge, which was trained on renders alone, says of each scene where it is and what colour the thing in its middle
has. A row for each board; then shares: of scenes in their place, of scenes in the colour, of boards whose three scenes
all are in the colour. A sheet of each board is written, to be looked at. The models that ship always read a structure
and are given a flat one.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import torch

import recast
from recast.evaluation.judge.judge import Judge
from recast.types import Frames
from recast.video.sheet import saved, sheet

SUBJECTS = {"red": "a red car", "blue": "a blue car", "yellow": "a yellow car", "green": "a green car"} | {
    "black": "a black car",
    "white": "a white car",
}
PLACES = {"grass meadow": "on a meadow", "snowy field": "in a snowy field in winter", "desert": "in a desert"}
"""The judge's words for places, and the boards'."""
MIDDLE = (0.5, 0.5)


def board(subject: str | None, seed: int, asked: argparse.Namespace) -> str:
    """A storyboard as text."""
    scenes = [f'[[scene]]\nprompt = "{words}"\n' for words in PLACES.values()]
    shared = [f'subject = "{subject}"\n'] if subject else []
    settings = f'frames = {asked.frames}\nsize = "{asked.size}"\nsteps = {asked.steps}\nseed = {seed}\n'
    return "".join([*shared, settings, *scenes])


def judged(judge: Judge, scenes: Sequence[Frames], colour: str) -> dict[str, object]:
    """Of each scene: the place and the colour that the judge finds, and how many are as asked."""
    verdicts = [judge(frames, torch.tensor([MIDDLE] * len(frames))) for frames in scenes]
    places = [verdict.environment == name for verdict, name in zip(verdicts, PLACES, strict=True)]
    colours = [verdict.colour == colour for verdict in verdicts]
    found = [f"{verdict.environment}, {verdict.colour}" for verdict in verdicts]
    return {"found": found, "places": sum(places), "colours": sum(colours), "kept": all(colours)}


def main() -> None:
    """Prints a row for each board as JSON, then the shares of both kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="pocket-words")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--size", default="256x144")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--sheets", type=Path, default=Path())
    asked = parser.parse_args()
    asked.sheets.mkdir(parents=True, exist_ok=True)
    editor, judge, rows = recast.load(asked.model), Judge.opened(), []
    for number, (colour, subject) in enumerate(SUBJECTS.items()):
        for kind, words in (("shared", subject), ("none", None)):
            began, path = process_time(), asked.sheets / f"{colour}-{kind}.toml"
            path.write_text(board(words, asked.seed + 10 * number, asked), "utf-8")
            frames = editor.generate(storyboard=path, flat_structure=True).frames
            saved(sheet([list(frames)], [subject], columns=len(frames), height=96), path.with_suffix(".png"))
            row = {"subject": subject, "kind": kind} | judged(judge, frames.split(asked.frames), colour)
            rows.append(row)
            print(json.dumps(row | {"processor seconds": round(process_time() - began)}), flush=True)
    for kind in ("shared", "none"):
        held = [row for row in rows if row["kind"] == kind]
        scenes = len(PLACES) * len(held)
        shares = {name: f"{sum(row[name] for row in held)} of {scenes}" for name in ("places", "colours")}
        print(json.dumps({"kind": kind} | shares | {"kept": f"{sum(row['kept'] for row in held)} of {len(held)}"}))


if __name__ == "__main__":
    main()
