"""Cost of a training in FLOPs, memory and hours, counted with its own loss on PyTorch's meta device, without data.

FLOPs are twice the multiply-adds of products, convolutions and attention, forward and backward, as the literature
counts them for MFU (arXiv:2204.02311, appendix B). Memory is the peak of live tensors.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from recast.data.datasets import DataMix, shape_of
from recast.engine.config import BatchShard, LossOutput
from recast.engine.rng import step_rng
from recast.training.live_memory import Alive
from recast.training.preset import Preset
from recast.training.stages import CHECKPOINTING, Checkpointing, GeneratorStage, Inputs, TrainStage

TRAINED_BYTES, FROZEN_BYTES = 22, 6
"""Bytes per weight: fp32 and a bfloat16 copy; for trained ones also gradient, EMA and AdamW's two moments in fp32."""


@dataclass(frozen=True)
class RowCost:
    """Cost of one row of a batch. flops: forward and backward; alive: bytes of activations, by checkpointing."""

    flops: float
    alive: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of a preset on its hardware.

    weights, trainable: number of all and of trained weights. rows: by kind, such as images and clips; seen: rows of the
    run. flops: of the run. hours: at the hardware's rate and MFU. memory: peak bytes of one device, by checkpointing;
    an estimate, without what libraries allocate.
    """

    steps: int
    weights: int
    trainable: int
    rows: Mapping[str, RowCost]
    seen: Mapping[str, int]
    flops: float
    hours: float
    memory: Mapping[str, int]


def cost(preset: Preset) -> Cost:
    """The cost of a preset, from shapes only."""
    stage, recipe, hardware = preset.stage, preset.config, preset.hardware
    blanks = {way: _Blank.of(stage, way) for way in _ways(stage)}
    rows = {
        kind: RowCost(blanks["none"].flops(kind), {way: blank.alive(kind) for way, blank in blanks.items()})
        for kind, seldom in rows_a_step(stage).items()
        if seldom
    }
    sizes = [(weight.numel(), weight.requires_grad) for weight in blanks["none"].network.parameters()]
    trainable, weights = sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)
    seen = rows_seen(stage, recipe.steps)
    flops = sum(seen[kind] * row.flops for kind, row in rows.items())
    parts = hardware.devices * recipe.accumulate
    own = TRAINED_BYTES * trainable + FROZEN_BYTES * (weights - trainable)
    return Cost(
        steps=recipe.steps,
        weights=weights,
        trainable=trainable,
        rows=rows,
        seen=seen,
        flops=flops,
        hours=flops / (hardware.devices * hardware.tflops * 1e12 * hardware.use) / 3600,
        memory={
            way: own + max(-(-stage.batch[kind] // parts) * row.alive[way] for kind, row in rows.items())
            for way in _ways(stage)
        },
    )


def run_flops(preset: Preset) -> float:
    """Of a whole run, forward and backward; without `cost`'s count of memory."""
    seen, blank = rows_seen(preset.stage, preset.config.steps), _Blank.of(preset.stage, "none")
    return sum(rows * blank.flops(kind) for kind, rows in seen.items() if rows)


def rows_seen(stage: TrainStage, steps: int) -> dict[str, int]:
    """Expected number of rows of each kind in a run."""
    return {kind: round(steps * rows) for kind, rows in rows_a_step(stage).items()}


def rows_a_step(stage: TrainStage) -> dict[str, float]:
    """Expected number of rows of each kind in a step."""
    if not isinstance(stage, GeneratorStage) or not stage.batches.clips:
        return dict(stage.batch)
    share = stage.batches.image_steps
    shares = {"images": share, "clips": 1 - share}
    return {kind: rows * shares[kind] for kind, rows in stage.batch.items()}


def _ways(stage: TrainStage) -> tuple[Checkpointing, ...]:
    return CHECKPOINTING if isinstance(stage, GeneratorStage) else ("none",)


def row_flops(stage: TrainStage, kind: str) -> float:
    """FLOPs of one row, forward and backward, without recomputation by checkpointing, as MFU is defined."""
    return _Blank.of(stage, "none").flops(kind)


def step_flops(stage: TrainStage, network: nn.Module, inputs: Inputs, processes: int = 1) -> float:
    """Expected FLOPs of a step on one of `processes` processes, for this network and this data.

    Every row counts with the largest size of its kind in the data, so this is an upper bound for mixed sizes.
    Raises RequestError where an input is missing.
    """
    least, blank = stage.least()
    least, large = _checkpointed(least, "none"), _largest(stage, inputs, blank)
    rows = {kind: count for kind, count in rows_a_step(stage).items() if count}
    networks = {kind: _computing(least.prepared(_bare(network))) for kind in rows}
    return sum(rows[kind] * _flops(networks[kind], least, large, kind) for kind in rows) / processes


def row_bytes(stage: TrainStage, kind: str, way: Checkpointing) -> int:
    """Peak bytes of one row besides weights and gradients."""
    return _Blank.of(stage, way).alive(kind)


@dataclass(frozen=True, eq=False)
class _Blank:
    """A stage at its smallest batch, with a network on the meta device that serves for all that is counted of it."""

    stage: TrainStage
    inputs: Inputs
    network: nn.Module

    @classmethod
    def of(cls, stage: TrainStage, way: Checkpointing) -> "_Blank":
        least, inputs = stage.least()
        least = _checkpointed(least, way)
        with torch.device("meta"):
            return cls(least, inputs, _computing(least.network(inputs)))

    def flops(self, kind: str) -> float:
        """FLOPs of one row."""
        return _flops(self.network, self.stage, self.inputs, kind)

    def alive(self, kind: str) -> int:
        """Peak bytes of one row."""
        storages = Alive()
        _step(self.network, self.stage, self.inputs, kind, storages)
        return storages.most // self.stage.batch[kind]


def _checkpointed(stage: TrainStage, way: Checkpointing) -> TrainStage:
    return replace(stage, checkpointing=way) if isinstance(stage, GeneratorStage) else stage


def _largest(stage: TrainStage, inputs: Inputs, blank: Inputs) -> Inputs:
    """The largest size of each kind in the stage's data; the stage's nominal sizes where there is no data."""
    if isinstance(stage, GeneratorStage):
        mix = DataMix.of(inputs.examples(), stage.batches.frames if stage.batches.clips else 1)
        kinds = [kind for kind in (mix.pictures, mix.clips) if kind]
        return replace(blank, sources=[max(kind, key=lambda source: prod(shape_of(source)[1:])) for kind in kinds])
    if inputs.pools:
        return replace(blank, pools=[max(inputs.pools, key=lambda pool: prod(pool.shape[1:]))])
    return blank


def _flops(network: nn.Module, stage: TrainStage, inputs: Inputs, kind: str) -> float:
    counter = FlopCounterMode(display=False)
    _step(network, stage, inputs, kind, counter)
    return counter.get_total_flops() / stage.batch[kind]


def _step(
    network: nn.Module, stage: TrainStage, inputs: Inputs, kind: str, watched: AbstractContextManager[object]
) -> None:
    loss = stage.loss(inputs)
    with watched, fused_attention():
        answer = loss(network, BatchShard(_step_of(stage, kind)))
        (answer.mean if isinstance(answer, LossOutput) else answer).backward()


def _step_of(stage: TrainStage, kind: str) -> int:
    """The first step with rows of that kind."""
    if not isinstance(stage, GeneratorStage):
        return 0
    is_video = stage.batches.is_video
    return next(step for step in count() if is_video(step_rng(stage.seed, step)) == (kind == "clips"))


def _bare(network: nn.Module) -> nn.Module:
    """A copy on the meta device."""
    weights = {
        id(weight): nn.Parameter(torch.empty_like(weight, device="meta"), weight.requires_grad)
        for weight in network.parameters()
    }
    return deepcopy(network, weights).to("meta")


def _computing(network: nn.Module) -> nn.Module:
    """The network with bfloat16 where autocast uses it: in matrix products, not in norms."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(torch.bfloat16).register_forward_pre_hook(_given_in(torch.bfloat16))
        elif isinstance(module, nn.GroupNorm | nn.LayerNorm):
            module.register_forward_pre_hook(_given_in(torch.float32))
    for weight in network.parameters():
        if weight.requires_grad:  # gradients are counted with the weights, and all are kept
            weight.register_post_accumulate_grad_hook(_forget)
    return network


def _given_in(dtype: torch.dtype) -> Any:  # noqa: ANN401 -- a hook
    return lambda _module, given: tuple(x.to(dtype) for x in given)


def _forget(weight: Tensor) -> None:
    weight.grad = None


@contextmanager
def fused_attention() -> Iterator[None]:
    """Replaces attention by one that stores no score matrix, as fused kernels on GPUs do; meta tensors have none.

    It is a patch because a dispatch mode of PyTorch is not active while checkpointing recomputes.
    """
    plain = F.scaled_dot_product_attention

    def fused(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **more: Any) -> Tensor:  # noqa: ANN401
        if attn_mask is not None:
            return plain(query, key, value, attn_mask, **more)
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]

    F.scaled_dot_product_attention = fused  # pyrefly: ignore[bad-assignment] -- the rest of its arguments are in `more`
    try:
        yield
    finally:
        F.scaled_dot_product_attention = plain
