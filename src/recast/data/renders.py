"""Pools of rendered worlds on disk, memory-mapped, so that training does not wait for the renderer."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from recast.files import disk_told, whole_folder
from recast.jobs.processes import processes
from recast.world import Scene, captioned, rendered, sampled

NUM_CAPTIONS = 4
"""Captions of each clip."""


@dataclass(frozen=True)
class RenderPlan:
    """Plan of a pool: `clips` scenes of `frames` frames.

    textured, framing: ranges to sample from, None for the world's own distribution; look: of all scenes, None for any;
    kinds: of the first subjects, none for any.
    """

    name: str
    clips: int
    height: int
    width: int
    first_seed: int
    frames: int = 8
    textured: tuple[float, float] | None = None
    framing: tuple[float, float] | None = None
    look: str | None = None
    kinds: tuple[str, ...] = ()

    def wishes(self, rng: np.random.Generator) -> dict[str, Any]:
        """Fixed attributes of one scene, for `recast.world`."""
        ranges = {"textured": self.textured, "framing": self.framing}
        drawn = {name: float(rng.uniform(*span)) for name, span in ranges.items() if span is not None}
        named = {name: value for name, value in (("look", self.look), ("kinds", self.kinds)) if value}
        return drawn | named


PLANS = (
    RenderPlan("square", 6000, 128, 128, first_seed=0),
    RenderPlan("wide", 2400, 128, 224, first_seed=1_000_000),
    RenderPlan("tall", 700, 224, 128, first_seed=2_000_000),
    RenderPlan("textured", 2000, 128, 128, first_seed=3_000_000, frames=3, textured=(0.3, 1.0)),
    RenderPlan("textured-wide", 800, 128, 224, first_seed=4_000_000, frames=3, textured=(0.3, 1.0)),
    # For the depth estimator: photographic, with every texture, and close.
    RenderPlan("solid", 6000, 128, 128, first_seed=5_000_000, frames=2, textured=(0.0, 1.0), look="plain"),
    RenderPlan("solid-wide", 2500, 128, 224, first_seed=6_000_000, frames=2, textured=(0.0, 1.0), look="plain"),
    RenderPlan(
        "close", 3000, 128, 128, first_seed=7_000_000, frames=2, textured=(0.0, 0.8), framing=(0.7, 2.2), look="plain"
    ),
    RenderPlan("moving", 4000, 128, 128, first_seed=7_100_000, textured=(0.0, 1.0), framing=(0.35, 1.6), look="plain"),
    RenderPlan(
        "moving-wide", 1200, 128, 224, first_seed=7_200_000, textured=(0.0, 1.0), framing=(0.35, 1.6), look="plain"
    ),
)
"""The pools that `pocket` is trained on. Seeds from 10 million on are held out."""


@runtime_checkable
class Pictures(Protocol):
    """Frames and depth of clips of one size: a pool of worlds, or a bucket of shards."""

    def __len__(self) -> int:
        """Number of clips."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames of each clip, and their height and width in pixels."""
        ...

    def picture(self, clip: int, frame: int) -> np.ndarray:
        """A frame: uint8 [h w 3]."""
        ...

    def depth(self, clip: int, frame: int) -> np.ndarray:
        """Its inverse depth, of arbitrary scale: float32 [h w]."""
        ...

    def things(self, clip: int, frame: int) -> np.ndarray:
        """Subject index at each pixel, 0 for none or unknown: uint8 [h w]."""
        ...


@dataclass(frozen=True, eq=False)
class RenderedDataset:
    """Rendered clips of one size.

    frames: uint8 [n t h w 3]; inverse: float16 [n t h w], 1/m; masks: uint8 [n t h w]; captions: several per clip;
    scenes: the attributes of each clip in canonical words.
    """

    frames: np.ndarray
    inverse: np.ndarray
    masks: np.ndarray
    captions: list[list[str]]
    scenes: list[dict]

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames of each clip, and their height and width in pixels."""
        _, frames, rows, columns, _ = self.frames.shape
        return frames, rows, columns

    def picture(self, clip: int, frame: int) -> np.ndarray:
        """A frame: uint8 [h w 3]."""
        return self.frames[clip, frame]

    def depth(self, clip: int, frame: int) -> np.ndarray:
        """Its inverse depth in 1/m: float32 [h w]."""
        return self.inverse[clip, frame].astype(np.float32)

    def things(self, clip: int, frame: int) -> np.ndarray:
        """Subject index at each pixel, 0 for none: uint8 [h w]."""
        return self.masks[clip, frame]

    @classmethod
    def opened(cls, folder: Path) -> "RenderedDataset":
        """The pool in `folder`, memory-mapped."""
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("frames", "inverse", "masks")]
        rows = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
        return cls(*arrays, captions=[row["captions"] for row in rows], scenes=[row["scene"] for row in rows])


def opened(folder: Path, names: tuple[str, ...]) -> dict[str, RenderedDataset]:
    """Pools by the name of their plan, memory-mapped."""
    return {name: RenderedDataset.opened(folder / name) for name in names}


def render(folder: Path, plans: tuple[RenderPlan, ...] = PLANS, workers: int = 2) -> None:
    """Renders missing pools; a pool's folder appears atomically."""
    for plan in plans:
        if not (folder / plan.name).exists():
            _render(folder, plan, workers)


def _render(folder: Path, plan: RenderPlan, workers: int) -> None:
    target = folder / plan.name
    with disk_told(target), whole_folder(target) as part:
        _fill(part, plan, workers)


def _fill(part: Path, plan: RenderPlan, workers: int) -> None:
    shape = (plan.clips, plan.frames, plan.height, plan.width)
    for name, dtype, tail in (("frames", np.uint8, (3,)), ("inverse", np.float16, ()), ("masks", np.uint8, ())):
        np.lib.format.open_memmap(part / f"{name}.npy", mode="w+", dtype=dtype, shape=(*shape, *tail)).flush()
    edges = np.linspace(0, plan.clips, 8 * workers + 1).astype(int)
    spans = [(part, plan, int(a), int(b)) for a, b in pairwise(edges)]
    with processes(workers) as pool, (part / "clips.jsonl").open("w") as lines:
        for rows in pool.map(_span, *zip(*spans, strict=True)):
            lines.writelines(json.dumps(row) + "\n" for row in rows)


def _span(part: Path, plan: RenderPlan, start: int, stop: int) -> list[dict]:
    frames, inverse, masks = (np.load(part / f"{name}.npy", mmap_mode="r+") for name in ("frames", "inverse", "masks"))
    rows = []
    for i in range(start, stop):
        rng = np.random.default_rng([plan.first_seed + i, 11])
        scene = sampled(plan.first_seed + i, **plan.wishes(rng))
        clip = rendered(scene, plan.frames, plan.height, plan.width)
        frames[i], inverse[i], masks[i] = clip.frames, clip.inverse_depth, clip.masks
        captions = [clip.caption, *(captioned(scene, rng) for _ in range(NUM_CAPTIONS - 1))]
        rows.append({"captions": captions, "scene": words_of(scene)})
    return rows


def words_of(scene: Scene) -> dict:
    """The attributes of a scene in canonical words, as JSON types."""
    attributes = {
        name: getattr(scene, name) for name in ("environment", "time", "weather", "look", "layout", "textured")
    }
    subjects = [{"kind": subject.kind, "colour": subject.colour} for subject in scene.subjects]
    return {**attributes, "subjects": subjects, "seed": scene.seed}
