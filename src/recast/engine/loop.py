"""One readable training loop for every network: AdamW, warm-up and cosine, averaged weights, exact resume."""

import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recast.engine import checkpoint, rng_state
from recast.engine.checkpoint import Position
from recast.engine.config import BatchShard, Loss, LossOutput, Network, TrainConfig
from recast.engine.distributed import SINGLE, Engine, Scored
from recast.engine.monitor import ImagePixels, Monitor, SampleDrawer, StepStats, combined, jsonl_monitor, unmonitored
from recast.engine.precision import AUTO, PRECISIONS, Meter, autocast, chosen_precision, matrix_rates
from recast.engine.signals import STOPS, Asked, asked
from recast.engine.state import TrainState
from recast.errors import Preempted, RecastError
from recast.files import run_lock

__all__ = ["BatchShard", "Loss", "LossOutput", "Network", "TrainConfig", "fit", "with_precision"]

MAX_BAD_STEPS = 20
"""Steps in a row that may be skipped because their loss or gradient is not finite."""
MAX_BAD_SHARE = 0.01
"""Share of a run's steps that may be."""


def fit(
    network: Network,
    loss: Loss[Network],
    recipe: TrainConfig,
    folder: Path,
    *,
    configuration: Mapping[str, object] | None = None,
    engine: Engine = SINGLE,
    monitor: Monitor = unmonitored,
    samples: SampleDrawer | None = None,
) -> Network:
    """Trains `network` in place and leaves it with its averaged weights; continues where `folder` holds a checkpoint.

    configuration: what else the weights depend on, such as data and batch, as JSON; a checkpoint of another is refused.
    engine: this process among those of the run (see `distributed.joined`). monitor: called after every step, on the
    first process. samples: draws a picture at each checkpoint, on all of them. A precision of auto is resolved first,
    by `with_precision`, and the resolved one stands in the checkpoints.

    Steps whose loss or gradient is not finite are skipped and counted. Raises RecastError after 20 of them in a row,
    or more than 1 % of all steps; RequestError where another run is at work in `folder`. SIGTERM and Ctrl-C finish the
    step, save, and raise Preempted or Cancelled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with run_lock(folder) if engine.first else nullcontext(), asked() as stop:
        recipe = with_precision(recipe, folder, engine=engine)
        scored, module = engine.spread(network, loss)
        run = _Run(scored, module, TrainState.of(scored.network, recipe), recipe, engine)
        known = dict(configuration or {}) | recipe.decisive() | {"weights": run.learner.fingerprint()}
        start = checkpoint.restored(folder, run.learner, known, engine)
        monitor = combined(jsonl_monitor(folder), monitor) if engine.first else unmonitored
        module.train()
        for seen, position, stopped in _steps(run, start, stop):
            kept = position.step % recipe.keep_every == 0 or position.step == recipe.steps or stopped
            if kept:
                checkpoint.save(folder, run.learner, position, known, engine)
            _notify(monitor, replace(seen, samples_image=_drawn(run, samples)) if kept else seen, folder)
        run.learner.copy_ema()
        engine.gather(scored, network)
        return network.eval()


def with_precision(
    recipe: TrainConfig, folder: Path, *, engine: Engine = SINGLE, rates: Meter = matrix_rates
) -> TrainConfig:
    """The recipe with a precision in place of auto; any other recipe as it is.

    A run that has a checkpoint in `folder` keeps its precision, on whichever processor it goes on; a new one takes what
    is worth it on the device. All processes take what the first one does, and call this together.
    """
    if recipe.precision != AUTO:
        return recipe
    chosen = ""
    if engine.first:
        kept = (checkpoint.kept_configuration(folder) or {}).get("precision")
        chosen = str(kept) if kept in list(PRECISIONS) else chosen_precision(rates(engine.device))
    return replace(recipe, precision=engine.all_gather(chosen)[0])


@dataclass(frozen=True, eq=False)
class _Run(Generic[Network]):
    """What stays the same from step to step."""

    scored: Scored[Network]
    module: nn.Module
    learner: TrainState
    recipe: TrainConfig
    engine: Engine


def _steps(run: _Run, position: Position, stop: Asked) -> Iterator[tuple[StepStats, Position, bool]]:
    """All steps that are left, each with what was seen, how far the run is then, and whether it was asked to stop.

    Raises Preempted or Cancelled once such a step has been dealt with.
    """
    steps = run.recipe.steps
    while position.step < steps:
        seen, position, stopped = _stepped(run, position, stop)
        yield seen, position, stopped
        if stopped and position.step < steps:
            kind = STOPS.get(stop.number, Preempted)
            raise kind(f"stopped after step {position.step} of {steps}; the same command goes on from there")


def _stepped(run: _Run, position: Position, stop: Asked) -> tuple[StepStats, Position, bool]:
    """One step: what was seen, how far the run is now, and whether any process was asked to stop."""
    began = time.perf_counter()
    step = position.step
    value, outputs = _backward(run, step)
    norm = run.learner.norm()
    samples = sum(len(each.rows) for each in outputs)
    agreed = torch.stack([value, value.new_tensor(samples), value.new_tensor(float(stop.number > 0))])
    mean, samples, stopped = run.engine.mean(agreed).tolist()
    good = math.isfinite(mean) and math.isfinite(norm.item())
    position = _counted(position, run.recipe, good=good)
    if good:
        run.learner.advance(norm, run.recipe, step)
    run.learner.forget_gradient()
    seen = StepStats(
        step=position.step,
        loss=mean,
        norm=norm.item(),
        rate=run.recipe.rate_at(step),
        skipped=position.skipped,
        seconds=time.perf_counter() - began,
        waited=sum(each.waited for each in outputs),
        samples=round(samples * run.engine.world),
        rows=_joined([each.rows for each in outputs]),
        levels=_joined([each.levels for each in outputs]),
    )
    return seen, position, stopped > 0


def _backward(run: _Run, step: int) -> tuple[Float[Tensor, ""], list[LossOutput]]:
    """Adds up the gradient of this process's parts of the batch; their mean loss, and what they say of it."""
    parts, engine = run.recipe.accumulate, run.engine
    value, outputs = torch.zeros((), device=engine.device), []
    for part in range(parts):
        with engine.grad_sync(run.module, last=part == parts - 1):
            with autocast(engine.device, run.recipe.precision):  # weights and sums stay fp32
                mean, measured = run.module(BatchShard(step, part * engine.world + engine.rank, parts * engine.world))
            (mean / parts).backward()
        value += mean.detach().float() / parts
        if measured is not None:
            outputs.append(measured)
    return value, outputs


def _counted(position: Position, recipe: TrainConfig, *, good: bool) -> Position:
    """One step further. Raises RecastError where too many were not finite."""
    step = position.step + 1
    if good:
        return replace(position, step=step, in_a_row=0)
    skipped, in_a_row = position.skipped + 1, position.in_a_row + 1
    most = max(MAX_BAD_STEPS, round(MAX_BAD_SHARE * recipe.steps))
    if in_a_row > MAX_BAD_STEPS:
        raise RecastError(
            f"the loss or its gradient was not finite in {in_a_row} steps in a row, up to {step}; lower the learning "
            "rate"
        )
    if skipped > most:
        raise RecastError(
            f"the loss or its gradient was not finite in {skipped} of {step} steps, and {most} are allowed; lower the "
            "learning rate, or look for damaged examples"
        )
    return Position(step, skipped, in_a_row)


def _drawn(run: _Run, samples: SampleDrawer | None) -> ImagePixels | None:
    """The strip of the averaged weights; what it draws from chance is not missed by training."""
    if samples is None:
        return None
    with run.learner.with_ema(), rng_state.untouched(), torch.no_grad():
        picture = run.scored.shown(samples).cpu()
    run.engine.reshard(run.module)
    return picture


def _notify(monitor: Monitor, seen: StepStats, folder: Path) -> None:
    try:
        monitor(seen)
    except OSError as error:
        free = shutil.disk_usage(folder).free / 2**30
        raise RecastError(
            f"the log in {folder} could not be written after step {seen.step} ({error}), with {free:.2f} GiB free; "
            "checkpoints are whole: make room and start again, the run goes on from the last of them"
        ) from error


def _joined(tensors: list[Tensor]) -> Float[Tensor, " b"]:
    return torch.cat(tensors).detach().float().cpu() if tensors else torch.zeros(0)
