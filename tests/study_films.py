"""Clips by three tools, a list of prompts, and the study that the command makes of them."""

from fractions import Fraction
from pathlib import Path

import torch

from recast.cli.app import run
from recast.types import Clip
from recast.video.write import save_clip

WAYS = ("way-gen1", "way-flowedit", "way-sdedit")
CLIPS = {"one": "a dog in snow", "two": "a <b>cat</b>"}


def film(path: Path, seed: int) -> None:
    """A small film of colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(3, 3, 3, 4, generator=rng)
    frames = torch.nn.functional.interpolate(coarse, (48, 64), mode="bilinear").mul(255).to(torch.uint8)
    save_clip(Clip(frames, Fraction(12)), path)


def study_made(folder: Path, raters: int = 3) -> Path:
    """Fills the folder: sources, a folder for each of WAYS, list.csv, and study."""
    for number, clip in enumerate(CLIPS):
        film(folder / "sources" / f"{clip}.mp4", number)
        for place, way in enumerate(WAYS):
            film(folder / way / f"{clip}.mp4", 10 * number + place + 2)
    lines = [f"{clip}.mp4,{prompt}" for clip, prompt in CLIPS.items()]
    (folder / "list.csv").write_text("\n".join(["clip,edit_prompt", *lines]))
    ways = [part for way in WAYS for part in ("--way", f"{way}={folder / way}")]
    given = ["--source", str(folder / "sources"), "--prompts", str(folder / "list.csv"), "--raters", str(raters)]
    assert run(["study", "build", "-o", str(folder / "study"), *ways, *given, "-q"]) == 0
    return folder
