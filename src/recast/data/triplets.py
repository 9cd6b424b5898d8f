"""Triplets on disk: a world's clip, the same world with one attribute changed, and instructions that ask for it."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recast.data.renders import RenderPlan
from recast.files import disk_told, whole_folder
from recast.jobs.processes import processes
from recast.world import Scene, rendered, sampled
from recast.world.instructions import changed, instruction

WAYS, EVERY, TRIES = 4, 4, 8
"""In which each edit is told; every how manyth pair is turned around; edits that are drawn until one is seen."""
FRAMES, ROWS = "frames.npy", "triplets.jsonl"


@dataclass(frozen=True, eq=False)
class TripletDataset:
    """Rendered triplets of one size. arXiv:2305.12328, section 3.1, which makes them of captions by other networks.

    frames: uint8 [n 2 t h w 3], the clip and the edited one. instructions: several for each.
    """

    frames: np.ndarray
    instructions: list[list[str]]

    def __len__(self) -> int:
        return len(self.instructions)

    @classmethod
    def opened(cls, folder: Path) -> "TripletDataset":
        """The triplets in `folder`, memory-mapped."""
        rows = [json.loads(line) for line in (folder / ROWS).read_text("utf-8").splitlines()]
        return cls(np.load(folder / FRAMES, mmap_mode="r"), [row["instructions"] for row in rows])


def render_triplets(folder: Path, plan: RenderPlan, workers: int = 2) -> None:
    """Renders the triplets of a plan where they are not there yet; the folder appears atomically.

    Every fourth pair is turned around, so that edits lead back to photographs too.
    """
    target = folder / plan.name
    if target.exists():
        return
    with disk_told(target), whole_folder(target) as part:
        shape = (plan.clips, 2, plan.frames, plan.height, plan.width, 3)
        np.lib.format.open_memmap(part / FRAMES, mode="w+", dtype=np.uint8, shape=shape).flush()
        edges = np.linspace(0, plan.clips, 8 * workers + 1).astype(int)
        spans = [(part, plan, int(a), int(b)) for a, b in pairwise(edges)]
        with processes(workers) as pool, (part / ROWS).open("w", encoding="utf-8") as lines:
            for rows in pool.map(_span, *zip(*spans, strict=True)):
                lines.writelines(json.dumps({"instructions": row}) + "\n" for row in rows)


class _Edit(NamedTuple):
    """A scene, the same with one attribute changed, and which."""

    source: Scene
    target: Scene
    name: str


def _shown_edit(scene: Scene, plan: RenderPlan, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, _Edit]:
    """A clip, the edited one, and the edit: one that can be seen, which a hidden subject's colour cannot."""
    first = rendered(scene, plan.frames, plan.height, plan.width).frames
    for _ in range(TRIES):
        edited = _Edit(scene, *changed(scene, rng))
        other = rendered(edited.target, plan.frames, plan.height, plan.width).frames
        if not np.array_equal(first, other):
            break
    return first, other, edited


def _span(part: Path, plan: RenderPlan, start: int, stop: int) -> list[list[str]]:
    frames = np.load(part / FRAMES, mmap_mode="r+")
    rows = []
    for number in range(start, stop):
        rng = np.random.default_rng([plan.first_seed + number, 19])
        first, other, edited = _shown_edit(sampled(plan.first_seed + number, **plan.wishes(rng)), plan, rng)
        turned = number % EVERY == 0
        frames[number] = np.stack([other, first] if turned else [first, other])
        rows.append([instruction(edited.source if turned else edited.target, edited.name, rng) for _ in range(WAYS)])
    return rows
