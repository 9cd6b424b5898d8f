"""Edits of a rendered world by each method, at each size, beside the least that their networks' arithmetic takes."""

from fractions import Fraction
from functools import partial
from typing import Any

from recast.bench.case import BenchCase, BenchConfig
from recast.editing.api import Editor
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.resolve import ResolvedEdit, resolve
from recast.errors import BackboneError, known
from recast.evaluation.cases.worlds import Case, case
from recast.evaluation.edit_cost import EditCost, walk_of
from recast.evaluation.trials import frames_of
from recast.methods import METHODS
from recast.methods.needs import lacking
from recast.types import Clip

WORLD, RATE = 1000, Fraction(8)
"""The world that is edited: none that results are told of."""
PROMPT, SOURCE_PROMPT = "a dog in snow", "a dog"
"""Short enough for every model. What it says is no matter to the time."""


def cases(config: BenchConfig) -> list[BenchCase]:
    """One for each method and size. Raises BackboneError for a method that the model lacks something for."""
    model = Model.loaded(config.model, device=str(config.device), dtype=str(config.dtype).removeprefix("torch."))
    methods = config.methods or (model.folder.metadata.method,)
    sides = config.sides or (model.backbone.short_side,)
    editor = Editor(model, Request.asked(model=config.model))
    worlds = {side: case(WORLD, side, config.frames) for side in sides}
    return [_case(config, editor, known("method", name, METHODS), worlds[side]) for side in sides for name in methods]


def _case(config: BenchConfig, editor: Editor, method: str, world: Case) -> BenchCase:
    lacks = lacking(METHODS[method].needs, editor.model.backbone)
    if lacks:
        raise BackboneError(f"{method} cannot edit with {editor.model.name}: {'; '.join(lacks)}")
    clip = Clip(frames_of(world.source), RATE)
    side = clip.size[0]
    asked: dict[str, Any] = {"prompt": PROMPT, "method": method, "size": side, "seed": 0}
    asked |= {"source_prompt": SOURCE_PROMPT} if METHODS[method].needs_source else {}
    asked |= {"steps": config.steps} if config.steps else {}
    resolved = resolve(editor.defaults.updated(**asked), editor.model, clip)
    size = f"{config.frames} frames of {side}x{side}, {resolved.steps} steps"
    floor = (_flops(resolved, editor.model, config.frames), 0.0)
    return BenchCase("edits", method, size, partial(editor, clip, **asked), config.frames, "frame", floor)


def _flops(resolved: ResolvedEdit, model: Model, frames: int) -> float:
    """Of the networks: encoding, structure, denoising and decoding. Passes backward are not in it."""
    walk = walk_of(resolved, model, frames)
    cost = EditCost.of(resolved, model, {frames: walk})
    return cost.denoising(walk) + frames * (cost.encoding + cost.decoding)
