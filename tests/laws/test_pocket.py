"""The model that ships: what its folder holds, and that words and detail move real clips the way they say."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from einops import repeat
from safetensors import safe_open

import recast
from recast.model.folder import ModelFolder
from recast.types import Clip, Frames

CLIPS = {"skiing": "tav_man-skiing.mp4", "jogger": "tokenflow_woman-running.mp4", "boxer": "fresco_boxer.mp4"}
ONE_AND_MORE = [name if name == "jogger" else pytest.param(name, marks=pytest.mark.slow) for name in CLIPS]
"""Each edit takes seconds; by default one clip stands for the others."""
PROMPTS = ("a snowy field in winter", "a dark street at night", "a pencil sketch")


@cache
def editor() -> recast.Editor:
    return recast.load("pocket", device="cpu")


@cache
def source(path: Path) -> Clip:
    return recast.open_clip(path, max_frames=3, size=(128, 128))


@cache
def edited(path: Path, prompt: str, detail: float) -> Frames:
    return editor()(source(path), prompt=prompt, structure_detail=detail, seed=3).frames


@cache
def depth(path: Path) -> Frames:
    maps = editor()(source(path), prompt=PROMPTS[0], steps=1, ensemble=1, seed=3).edited.prepared.structures[0].maps
    return (repeat(maps, "t 1 h w -> t c h w", c=3) * 255).to(torch.uint8)


def light(frames: Frames) -> float:
    return float(frames.float().mean()) / 255


def colourfulness(frames: Frames) -> float:
    return float((frames.float().amax(1) - frames.float().amin(1)).mean()) / 255


def outlines(frames: Frames) -> np.ndarray:
    light = frames.float().mean(1).numpy()
    soft = [cv2.GaussianBlur(frame, (0, 0), 2) for frame in light]
    return np.stack([np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)) for g in soft])


def test_the_folder_is_small_and_whole():
    folder = ModelFolder.found("pocket").path
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 25_000_000
    assert (folder / "README.md").exists()
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        assert kinds <= {"F16", "I64"}, path


def test_an_edit_of_a_world_repeats_itself():
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64), dtype=np.uint8))
    clip = Clip(frames, fps=Fraction(8))
    once, twice = (editor()(clip, prompt="a red ball on a beach", steps=2, seed=1, size=64).frames for _ in range(2))
    assert torch.equal(once, twice)


@pytest.mark.footage
@pytest.mark.parametrize("name", ONE_AND_MORE)
def test_words_move_a_real_clip_the_way_they_say(footage: Path, name: str):
    snow, night, sketch = (edited(footage / "clips" / CLIPS[name], prompt, 0) for prompt in PROMPTS)
    assert light(snow) > 0.5
    assert light(night) < 0.35
    assert light(sketch) > 0.5
    assert colourfulness(sketch) < 0.15


@pytest.mark.footage
@pytest.mark.parametrize("name", ONE_AND_MORE)
def test_less_detail_keeps_less_of_the_outline(footage: Path, name: str):
    path = footage / "clips" / CLIPS[name]
    wanted = outlines(depth(path))

    def kept(detail: float) -> float:
        return float(np.corrcoef(wanted.ravel(), outlines(edited(path, PROMPTS[0], detail)).ravel())[0, 1])

    assert kept(0) > kept(6)
