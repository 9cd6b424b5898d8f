"""Training steps of generators, on random weights and zeros for cached conditioning: samples a second, and MFU.

Whole steps as `recast train` makes them: forward, backward, clipping, AdamW, average. MFU is the share of the machine's
rate of products that goes into the model's own FLOPs (arXiv:2204.02311, appendix B).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count as counting

import torch

from recast.bench.case import BenchCase, BenchConfig
from recast.engine.config import BatchShard, LossOutput
from recast.engine.precision import autocast
from recast.engine.state import TrainState
from recast.errors import RequestError, known
from recast.recipes import PRESETS
from recast.training.cost import row_flops
from recast.training.stages import Blank, GeneratorStage, Inputs

USUAL = ("pocket-images", "pocket-video")
MOST_ROWS = 64
"""Of a step, where the run does not say how many."""


def cases(config: BenchConfig) -> list[BenchCase]:
    """One for images of each preset, one for clips where it has any. Raises RequestError for what is no generator."""
    return [each for name in config.presets or USUAL for each in _of_preset(known("preset", name, PRESETS), config)]


def _of_preset(name: str, config: BenchConfig) -> Iterator[BenchCase]:
    stage = PRESETS[name].stage
    if not isinstance(stage, GeneratorStage):
        generators = ", ".join(each for each, held in PRESETS.items() if isinstance(held.stage, GeneratorStage))
        raise RequestError(f"{name} trains no generator; generators are {generators}")
    for kind, usual in stage.batch.items():
        rows = config.rows or min(usual, MOST_ROWS)
        alone, frames = _alone(replace(stage, checkpointing=config.checkpointing), kind, rows)
        height, width = (alone.clip_sizes if kind == "clips" else alone.picture_sizes)[0]
        size = f"{rows} {kind}, {frames} frames of {width}x{height}"
        flops = rows * row_flops(alone, kind)
        yield BenchCase(
            "training", name, size, _step(alone, frames, config), rows, kind.removesuffix("s"), (flops, 0.0)
        )


def _alone(stage: GeneratorStage, kind: str, rows: int) -> tuple[GeneratorStage, int]:
    """The stage with rows of one kind alone, and their frames."""
    # image_steps of 0 are all clips, and without clips all are images.
    clips = rows if kind == "clips" else 0
    batches = replace(stage.batches, images=rows, clips=clips, image_steps=0.0)
    size = (stage.clip_sizes if clips else stage.picture_sizes)[0]
    alone = replace(stage, batches=batches, picture_sizes=(size,), clip_sizes=(size,) if clips else ())
    return alone, stage.batches.frames if clips else 1


def _step(stage: GeneratorStage, frames: int, config: BenchConfig) -> Callable[[], object]:
    size = (stage.clip_sizes or stage.picture_sizes)[0]
    inputs = Inputs(sources=[Blank(frames, size, stage.layers.content_width)])
    torch.manual_seed(0)
    network, loss, recipe = stage.network(inputs).to(config.device), stage.loss(inputs), PRESETS["gen1-detail"].config
    learner, numbers = TrainState.of(network, recipe), counting()

    def step() -> None:
        number = next(numbers)
        with autocast(config.device.type, config.precision):
            answer = loss(network, BatchShard(number))
        assert isinstance(answer, LossOutput), "a generator's rows are weighed alike"
        answer.mean.backward()
        learner.advance(learner.norm(), recipe, number)
        learner.forget_gradient()

    return step
