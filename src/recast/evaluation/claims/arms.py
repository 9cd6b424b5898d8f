"""One world edited under one arm and one seed, and what is measured of it."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from recast.conditions.clip_pair import WordDirection
from recast.conditions.content import Medium
from recast.editing.mask import Mask, composited
from recast.editing.prepared import Prepared, prepare
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import generate
from recast.evaluation.claims.claim import OUTSIDE, Arm
from recast.evaluation.items import EvalConfig, EvalContext, open_context
from recast.evaluation.metrics.consistency import all_pairs
from recast.evaluation.metrics.cost import counted
from recast.evaluation.metrics.fidelity import correlation
from recast.evaluation.metrics.joint import Bars
from recast.evaluation.trials import FPS, AskedEdit, frames_of
from recast.substrates.found import fit_of
from recast.substrates.paint import Objective, PaintedLayer, PaintSettings, painted
from recast.substrates.painted import repainted
from recast.types import Clip, Frames
from recast.world import rendered

NEXT_SEED = 1_000_003
"""From one seed of a world's edits to the next; far from other worlds' numbers, which are their first seeds."""
FIT_PASSES = 10
PAINT_STEPS = 100
HELD = 4
"""Worlds that a process keeps at hand, for arms of the same world come one after the other."""


@dataclass(frozen=True)
class ClaimRun:
    """How all arms are run. side: rows and columns of worlds and edits, the model's own if None.

    options: of every request, by name; those of an arm count more.
    """

    model: str
    device: str
    side: int | None = None
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class ArmItem:
    """An arm on one world. seed: the number of the noise, from 0."""

    arm: Arm
    world: int
    seed: int

    @property
    def name(self) -> str:
        """What results know it by."""
        return f"{self.arm.label} | world {self.world} seed {self.seed}"


@dataclass(frozen=True, eq=False)
class HeldWorld:
    """A world at hand: the edit that is asked for, and what all its edits share."""

    asked: AskedEdit
    bars: Bars

    @cached_property
    def clip(self) -> Clip:
        """The source."""
        return Clip(self.asked.source, FPS)

    @cached_property
    def prepared(self) -> Prepared:
        """The source as edits see it."""
        context = self.asked.context
        request = Request.asked(model=context.setting.model, words="a", size=len(self.asked.case.source.masks[0]))
        return prepare(resolve(request, context.model, self.clip), context.model)

    @cached_property
    def example(self) -> Frames:
        """The picture that tells the content, of another scene with the attributes that are asked for."""
        side = self.clip.size[0]
        return frames_of(rendered(self.asked.case.example, 1, side, side))

    @cached_property
    def _example_embedding(self) -> Float[Tensor, "1 d"]:
        return self.asked.context.pair.embeddings(self.example)

    def measured(self, frames: Frames) -> dict[str, float]:
        """What is measured of any clip as an edit of this world."""
        context = self.asked.context
        figures = self.asked.measured(frames, self.bars)
        figures["frame_pairs"] = all_pairs(context.encoder.embeddings(frames))
        embeddings = context.pair.embeddings(frames)
        figures["likeness"] = float(F.cosine_similarity(embeddings, self._example_embedding).mean())
        if self.prepared.structures:
            seen = context.model.extractor("depth")(Clip(frames, FPS)).maps
            figures["depth_agreement"] = correlation(seen, self.prepared.structures[0].maps)
        return figures


def measured(run: ClaimRun, item: ArmItem) -> dict[str, float]:
    """The figures of one item, by the names of METRICS; none of an edit that the model cannot be asked for."""
    arm = item.arm
    context = open_context(EvalConfig(arm.model or run.model, run.device, ()))
    if arm.content == "picture" and Medium.PICTURE not in context.model.backbone.media:
        return {}
    world = held(context, run.side or context.side, item.world, arm.case)
    if arm.content == "source":
        return world.measured(world.asked.source)
    if arm.content == "paint":
        return world.measured(_painted(item, world))
    frames, evaluations = _edited(run, item, world)
    return world.measured(frames) | {"evaluations": float(evaluations)}


@lru_cache(maxsize=HELD)
def held(context: EvalContext, side: int, number: int, kind: str) -> HeldWorld:
    """The world of this number, at this size."""
    asked = AskedEdit.of(number, kind, context, side)
    return HeldWorld(asked, Bars.of(asked.measured(asked.source), asked.measured(asked.truth)))


def _edited(run: ClaimRun, item: ArmItem, world: HeldWorld) -> tuple[Frames, int]:
    context, arm = world.asked.context, item.arm
    options = dict(run.options) | dict(arm.options)
    options |= {"seed": item.world + NEXT_SEED * item.seed, "size": world.clip.size[0]}
    with TemporaryDirectory() as folder:
        if arm.content == "picture":
            options["pictures"] = str(_written(world.example, Path(folder))[0])
        else:
            options["words"] = world.asked.case.words
        if arm.masked:
            masks = torch.from_numpy(world.asked.case.source.masks > 0)
            subject = 255 * masks[:, None].expand(-1, 3, -1, -1).to(torch.uint8)
            _written(subject, Path(folder))
            options |= {"mask": folder, "edit": OUTSIDE}
        request = Request.asked(model=context.setting.model, **options)
        resolved = resolve(request, context.model, world.clip)
        backbone, evaluations = counted(context.model.backbone)
        frames = generate(resolved, world.prepared, replace(context.model, backbone=backbone)).frames
        return _kept(frames, world.clip, resolved.mask), evaluations.count


def _painted(item: ArmItem, world: HeldWorld) -> Frames:
    """The clip's canonical image painted whole, since the place changes too; by the CLIP pair that measures it."""
    substrate = fit_of(world.asked.source, "canonical", passes=FIT_PASSES).run()
    pair, case = world.asked.context.pair, world.asked.case
    words = WordDirection.of(pair, case.words, case.source_words)
    settings = PaintSettings(steps=PAINT_STEPS, seed=item.world + NEXT_SEED * item.seed)
    canvas = painted(Objective(PaintedLayer(substrate, 0), pair, words, settings))
    picture = (255 * canvas).round().clamp(0, 255).to(torch.uint8)
    repaint = (repainted(frame, number, substrate, [picture]) for number, frame in enumerate(world.asked.source))
    return torch.stack(list(repaint))


def _kept(frames: Frames, clip: Clip, mask: Mask | None) -> Frames:
    """The source's own pixels where the mask says so, as in a file that is written."""
    if mask is None:
        return frames
    parts = mask.frames(0, len(clip))
    return torch.stack([composited(*each) for each in zip(frames, clip.frames, parts, strict=True)])


def _written(frames: Frames, folder: Path) -> list[Path]:
    paths = [folder / f"{number:04d}.png" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()).save(path)
    return paths
