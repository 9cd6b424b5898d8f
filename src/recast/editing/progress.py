"""The stages of an edit by name, how they report, and what an error says of the stage that it came from."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TypedDict

import torch

from recast.denoising import StepHook
from recast.errors import OutOfMemoryError
from recast.progress import ProgressCallback, Report
from recast.types import Latents

_SIGNS_OF_SHORT_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "insufficient memory",
    "could not create a primitive",  # oneDNN's convolutions
)
PARTS = 1000
"""In how many parts the progress of one of several parts is told."""


class Stage(StrEnum):
    """The six steps of an edit, in order. Progress and errors use these names."""

    READ = "read"
    STRUCTURE = "structure"
    CONTENT = "content"
    DENOISE = "denoise"
    DECODE = "decode"
    WRITE = "write"


def no_progress(_stage: str, _done: int, _total: int, /) -> None:
    """The watch that looks away."""


@contextmanager
def stage(name: Stage, watch: ProgressCallback) -> Iterator[Report]:
    """Reports a stage's start and end, gives its block a way to report between, and names it in errors that leave it.

    Raises OutOfMemoryError, with what to do, in place of what torch, OpenCV and Python raise for it.
    """
    whole = 1

    def report(done: int, total: int) -> None:
        nonlocal whole
        whole = total
        watch(name, done, total)

    report(0, 1)
    try:
        yield report
    except Exception as error:
        error.add_note(f"in stage {name}")
        if not is_out_of_memory(error):
            raise
        remedy = "use fewer frames (--max-frames), a smaller --size, or another --device"
        raise OutOfMemoryError(f"out of memory in stage {name}; {remedy}") from error
    watch(name, whole, whole)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch, OpenCV or Python say that memory is short."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return any(sign in message for sign in _SIGNS_OF_SHORT_MEMORY)


def part_of(report: Report, number: int, count: int) -> Report:
    """A report for part `number` of `count`, as a share of all of them."""

    def in_part(done: int, total: int) -> None:
        report(number * PARTS + PARTS * done // total, count * PARTS)

    return report if count == 1 else in_part


class StepHooks(TypedDict):
    """The fields of `DenoiseInputs` that are called after each step."""

    inversion_hook: StepHook
    step_hook: StepHook


def reporting(report: Report, sigmas: list[float], edit: StepHook) -> StepHooks:
    """Hooks that report a count which only grows; on the way down `edit` has its say after that.

    sigmas: of a full walk, decreasing. A walk may turn below the highest one; what lies above counts as done.
    """
    steps, inverted = len(sigmas) - 1, False

    def raised(x: Latents, sigma: float, /) -> Latents:
        nonlocal inverted
        inverted = True
        report(sum(level < sigma for level in sigmas), 2 * steps)
        return x

    def lowered(x: Latents, sigma: float, /) -> Latents:
        before = steps if inverted else 0
        report(before + sum(level > sigma for level in sigmas), before + steps)
        return edit(x, sigma)

    return StepHooks(inversion_hook=raised, step_hook=lowered)
