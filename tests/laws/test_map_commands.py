"""Commands of the map of systems run as they are typed, on a tiny clip and tiny models."""

import re
import shlex
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_sound_schedules import tone, wav

from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.types import Clip
from recast.video.write import save_clip
from substrate_clips import two_layer_clip
from svd_folder import write_svd
from tiny_folder import written

ROOT = Path(__file__).parents[2]
RUN = re.compile(r"`(recast (?:generate|interpolate|propagate|substrate)[^`]*|--(?:noise|schedule|shape)[ =][^`]+)`")
COMMANDS = sorted(set(RUN.findall((ROOT / "docs" / "field.md").read_text())))
ELSEWHERE = {
    "edit": "tests/contracts/test_hosted_editors.py",
    "tune": "tests/unit/test_tune.py",
    "train": "tests/unit/test_cli_train.py",
    "evaluate": "tests/unit/test_evaluate_pairs.py",
    "models": "tests/laws/test_videocrafter.py",
    "study": "tests/unit/test_study.py",
    "storyboard": "tests/laws/test_planners.py",
}
"""Commands of the map that other tests run, with every method, tuning and measure."""
FITS = ["--size", "64", "--passes", "1", "--cache", "fits", "-q"]
WORKED = ["--steps", "2", "--size", "32x32", "--frames", "6", "--window", "4", "-q"]
BOARD = '[[scene]]\nprompt = "a red ball"\nframes = 2\n[[scene]]\nprompt = "a blue ball"\nframes = 2\n'
LAYOUT = (
    '[[object]]\nwords = "ball"\nkeys = [{ frame = 0, box = [0, 0, 0.5, 1] }, { frame = 5, box = [0.5, 0, 1, 1] }]\n'
)
STROKES = "[[stroke]]\nkeys = [{ frame = 0, at = [0.2, 0.5] }, { frame = 5, at = [0.8, 0.5] }]\n"
# Untrained networks paint nothing that words find, which is warned of.
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip with its mask and a sound, pictures of it, and tiny models."""
    here = tmp_path_factory.mktemp("map")
    frames, discs = two_layer_clip(4)
    save_clip(Clip(frames, Fraction(8)), here / "clip.mp4")
    save_clip(Clip((255 * discs).byte().expand(-1, 3, -1, -1), Fraction(8)), here / "mask")
    painted = torch.where(discs[1] > 0.5, 255 - frames[1], frames[1])
    Image.fromarray(painted.permute(1, 2, 0).numpy()).save(here / "painted.png")
    Image.fromarray((255 * discs[1, 0]).byte().numpy()).save(here / "shape.png")
    wav(here / "beat.wav", tone([0.1, 0.9, 0.3, 0.7]))
    (here / "board.toml").write_text(BOARD)
    (here / "layout.toml").write_text(LAYOUT)
    (here / "strokes.toml").write_text(STROKES)
    write_stable_diffusion(here / "words")
    written(here / "editor")
    write_svd(here / "svd")
    for by in ("canonical", "atlas"):
        masked = ["--mask", str(here / "mask")] if by == "atlas" else []
        fit = ["--by", by, *masked, "--size", "64", "--passes", "1", "--cache", str(here / "fits")]
        assert run(["substrate", "fit", str(here / "clip.mp4"), *fit, "-q"]) == 0
    for picture in here.glob("fits/*/*.png"):
        image = np.asarray(Image.open(picture)).copy()
        image[8:20, 8:20] = (255, 0, 255)
        Image.fromarray(image).save(here / f"edited-{picture.name}")
    return here


def filled(command):
    """The command with files for what stands in its place, and with what it leaves to the reader."""
    for name, file in {
        "--key FRAME=PICTURE": "--key 1=painted.png",
        "--shape FRAME=PICTURE": "--shape 1=shape.png",
        "canonical=FILE": "canonical=edited-canonical.png",
        "foreground=FILE": "foreground=edited-foreground.png",
        "foreground=painted.png": "foreground=edited-foreground.png",
        "--storyboard FILE": "--storyboard board.toml",
        "--layout FILE": "--layout layout.toml",
        "--strokes FILE": "--strokes strokes.toml",
        "sound(loudness,": "sound(loudness of beat.wav,",
        "a calm sea..a stormy sea": "snow..a beach",
        "0: ..., 48: ...": "0: snow, 4: a beach",
        "0s: ..., 2s: ...": "0s: snow, 0.5s: a beach",
    }.items():
        command = command.replace(name, file)
    words = shlex.split(command)
    return words[1:] if words[0] == "recast" else _with_verb(words)


def _with_verb(words):
    if words[0] == "--noise":
        return ["generate", *words]
    if words[0] == "--shape":
        return ["propagate", "--by", "shape", *words]
    prompt = [] if words[1].startswith("prompt") else ["-p", "snow"]
    prompt += ["--mask", "mask"] if words[1].startswith("clip_guidance") else []
    return ["edit", "clip.mp4", *words, *prompt, "-m", "editor", "--method", "sdedit", "--cuts", "none"]


def completed(command):
    """All that is typed."""
    words = filled(command)
    if words[0] == "edit":
        return [*words, "--steps", "2", "-o", "out.mp4", "-y", "-q"]
    if words[0] == "generate":
        if words[-1] == "--image":
            return [*words, "painted.png", "-m", "svd", *WORKED, "--window", "6", "-o", "out.mp4", "-y"]
        asked = [] if {"--storyboard", "--schedule"} & {*words} else ["-p", "a red ball"]
        worked = ["--steps", "2", "--size", "32x32", "-q"] if "--storyboard" in words else WORKED
        return [*words, *asked, "-m", "words", *worked, "-o", "out.mp4", "-y"]
    if words[0] == "interpolate":
        return [*words, "-o", "out.mp4", "-y", "-q"]
    masked = ["--mask", "mask"] if {"atlas", "shape"} & {*words} or "paint" in words else []
    if words[0] == "propagate":
        key = [] if "--key" in words else ["--key", "1=painted.png"]
        return [*words, "clip.mp4", *key, *masked, *FITS, "-o", "out.mp4", "-y"]
    clip = [] if "clip.mp4" in words else ["clip.mp4"]
    out = {"fit": [], "render": ["-o", "out.mp4", "-y"], "paint": ["--steps", "2", "-m", "editor", "-y"]}[words[1]]
    return [*words, *clip, *masked, *FITS, *(["-o", "paint.png"] if "-o" in words else []), *out]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_map_runs(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert run(completed(command)) == 0


def test_other_commands_of_the_map_are_run_by_other_tests():
    verbs = set(re.findall(r"`recast (\w+)", (ROOT / "docs" / "field.md").read_text()))
    assert verbs == {"generate", "interpolate", "propagate", "substrate", *ELSEWHERE}
    assert all((ROOT / file).is_file() for file in ELSEWHERE.values())
