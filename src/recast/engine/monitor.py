"""Monitors of a training run: log.jsonl, a line on the terminal, TensorBoard. None of them changes its results."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from recast.engine.precision import matrix_rates

ImagePixels = UInt8[Tensor, "3 h w"]
SampleDrawer = Callable[[nn.Module], ImagePixels]
"""Draws what the network with its averaged weights does, such as frames of an edit side by side."""

LOG = "log.jsonl"
LEVEL_BINS = 10
EVERY_STEPS = 50
"""Steps from one row of the log, or point of a curve, to the next; curves show the mean between."""
_LINE_EVERY_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class StepStats:
    """What one step showed.

    step: steps done, this one too. loss, norm (of the gradient) and rate (of learning) are those of this step.
    skipped: steps so far that were not finite. seconds: that the step took; waited: of these, for data.
    rows, levels: of this process, where the loss tells them; samples: of all processes, 0 where it does not.
    samples_image: a picture, at steps that made a checkpoint, where the stage draws one.
    """

    step: int
    loss: float
    norm: float
    rate: float
    skipped: int
    seconds: float
    waited: float
    samples: int
    rows: Float[Tensor, " b"]
    levels: Float[Tensor, " b"]
    samples_image: ImagePixels | None = None


Monitor = Callable[[StepStats], None]


def unmonitored(_seen: StepStats) -> None:
    """Looks away."""


def combined(*monitors: Monitor) -> Monitor:
    """All of them, one after the other."""

    def monitor(seen: StepStats) -> None:
        for each in monitors:
            each(seen)

    return monitor


def jsonl_monitor(folder: Path) -> Monitor:
    """Adds a row to folder/log.jsonl every 50 steps."""
    span = _Span()

    def monitor(seen: StepStats) -> None:
        span.add(seen)
        if seen.step % EVERY_STEPS == 0:
            row = {"step": seen.step, "loss": round(seen.loss, 5), "norm": round(seen.norm, 3), "rate": seen.rate}
            with (folder / LOG).open("a") as file:
                file.write(json.dumps(row | {"skipped": seen.skipped, "pace": span.pace()}) + "\n")
            span.clear()

    return monitor


@contextmanager
def progress_monitor(name: str, steps: int) -> Iterator[Monitor]:
    """Shows on stderr how far the run is and when it will be done: a bar on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield _lines(name, steps)
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[summary]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name, total=steps, summary="")
        yield lambda seen: bars.update(task, completed=seen.step, summary=_summary(seen))


@contextmanager
def tensorboard_monitor(
    folder: Path, *, device: str = "cpu", precision: str = "fp32", flops: float | None = None
) -> Iterator[Monitor]:
    """Draws curves and strips for TensorBoard into `folder`/board.

    flops: of a step, on this process; with them, MFU is drawn against the device's matrix rate in this precision.
    """
    from torch.utils.tensorboard.writer import SummaryWriter

    rate = matrix_rates(device)[precision] if flops else None
    span = _Span()
    with SummaryWriter(str(folder / "board")) as writer:

        def draw(step: int) -> None:
            curves = span.curves()
            if rate and flops:
                curves["speed/mfu"] = flops * span.pace() / rate
            for name, value in curves.items():
                writer.add_scalar(name, value, step)
            span.clear()

        def monitor(seen: StepStats) -> None:
            span.add(seen)
            if seen.samples_image is not None:
                writer.add_image("strip", seen.samples_image.numpy(), seen.step)
            if seen.step % EVERY_STEPS == 0 or seen.samples_image is not None:
                draw(seen.step)

        yield monitor
        if span.steps:  # of a run that ends between two points
            draw(span.steps[-1].step)


class _Span:
    """The steps since the last point of the curves."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.steps: list[StepStats] = []

    def add(self, seen: StepStats) -> None:
        self.steps.append(seen)

    def pace(self) -> float:
        """Steps a second."""
        return len(self.steps) / max(sum(seen.seconds for seen in self.steps), 1e-9)

    def curves(self) -> dict[str, float]:
        seconds = sum(seen.seconds for seen in self.steps)
        finite = [seen for seen in self.steps if np.isfinite(seen.loss + seen.norm)]
        means = {
            "loss/mean": [seen.loss for seen in finite],
            "gradient/norm": [seen.norm for seen in finite],
            "learning/rate": [self.steps[-1].rate],
            "learning/skipped steps": [self.steps[-1].skipped],
            "speed/steps a second": [self.pace()],
            "speed/samples a second": [sum(seen.samples for seen in self.steps) / seconds],
            "speed/share of time waiting for data": [sum(seen.waited for seen in self.steps) / seconds],
            "memory/peak GiB": [_peak_gib()],
        }
        return {name: float(np.mean(values)) for name, values in means.items() if values} | self._levels()

    def _levels(self) -> dict[str, float]:
        """The loss by noise level, in ten equal bins from clean to noise."""
        rows, levels = (torch.cat([getattr(seen, name) for seen in self.steps]) for name in ("rows", "levels"))
        bins = (levels * LEVEL_BINS).long().clamp(0, LEVEL_BINS - 1)
        fine = rows.isfinite()
        return {
            f"loss by noise level/{at / LEVEL_BINS:.1f} to {(at + 1) / LEVEL_BINS:.1f}": rows[here].mean().item()
            for at in range(LEVEL_BINS)
            if (here := (bins == at) & fine).any()
        }


def _lines(name: str, steps: int) -> Monitor:
    began, first, last_line = time.monotonic(), -1, 0.0

    def monitor(seen: StepStats) -> None:
        nonlocal first, last_line
        now = time.monotonic()
        first = seen.step - 1 if first < 0 else first
        left = (now - began) / (seen.step - first) * (steps - seen.step)
        if seen.step == steps or now - last_line > _LINE_EVERY_SECONDS:
            last_line = now
            print(f"{name:<10} {seen.step}/{steps}, {left:.0f} s left, {_summary(seen)}", file=sys.stderr, flush=True)

    return monitor


def _summary(seen: StepStats) -> str:
    skipped = f", {seen.skipped} skipped" if seen.skipped else ""
    return f"loss {seen.loss:.4f}, norm {seen.norm:.2f}, {1 / seen.seconds:.2f} steps/s{skipped}"


def _peak_gib() -> float:
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
