"""Progress on the terminal: the stage, steps done, time left, and peak memory."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from recast.cli.table import visible
from recast.errors import Cancelled

Watch = Callable[[str, int, int], None]
"""As in `recast.types`, which would import torch."""

_LINE_EVERY_SECONDS = 5.0


@contextmanager
def shown(*, quiet: bool) -> Iterator[Watch]:
    """Shows progress on stderr while the block runs: bars on a terminal, plain lines elsewhere, nothing when quiet.

    The first Ctrl-C makes the watch raise Cancelled at its next call, the second one interrupts at once, as SIGTERM and
    SIGHUP do.
    """
    with _ended_in_order(), _interruptible() as check:
        if quiet:
            yield lambda _stage, _done, _total: check()
        elif sys.stderr.isatty():
            with _bars() as show:
                yield _both(check, show)
        else:
            yield _both(check, _lines())


def peak_gib() -> float:
    """The most memory that this process has held so far, in GiB: the accelerator's where one is used, else its own."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**30
    try:
        import resource
    except ImportError:  # Windows has no such count
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _both(check: Callable[[], None], show: Watch) -> Watch:
    def watch(stage: str, done: int, total: int) -> None:
        check()
        show(stage, done, total)

    return watch


@contextmanager
def _bars() -> Iterator[Watch]:
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[memory]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks or (done == 0 and bars.tasks[tasks[stage]].finished):
                tasks[stage] = bars.add_task(stage, total=total, memory="")
            bars.update(tasks[stage], completed=done, total=total, memory=f"peak {peak_gib():.1f} GiB")

        yield show


def _lines() -> Watch:
    stage, began, last_line = "", 0.0, 0.0

    def show(name: str, done: int, total: int) -> None:
        nonlocal stage, began, last_line
        now = time.monotonic()
        if done == 0:
            stage, began, last_line = name, now, now
        took = now - began
        if done == total and name == stage:
            stage = ""  # steps and stage may both report the end; it is printed once
            _tell(f"{name:<10} {done}/{total} in {took:.1f} s, peak {peak_gib():.1f} GiB")
        elif done and now - last_line > _LINE_EVERY_SECONDS:
            last_line = now
            _tell(f"{name:<10} {done}/{total}, {took / done * (total - done):.0f} s left, peak {peak_gib():.1f} GiB")

    return show


def _tell(line: str) -> None:
    print(visible(line), file=sys.stderr, flush=True)


class _Ended(KeyboardInterrupt):
    """As Ctrl-C, but of a class of its own.

    A KeyboardInterrupt that leaves an `exec` of text makes Python end by SIGINT at its exit, though it was caught.
    """


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end the block as an error does, so that what is half-written is removed."""
    number = 0

    def end(received: int, _frame: FrameType | None) -> None:
        nonlocal number
        number = received
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # the way out is not to be interrupted
        raise _Ended

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    caught = [getattr(signal, name) for name in names]
    if threading.current_thread() is not threading.main_thread():
        caught = []
    # What is ignored stays so: nohup has it from its parent.
    before = {each: signal.getsignal(each) for each in caught if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    except (KeyboardInterrupt, Cancelled) as error:
        if not number:
            raise
        stopped = Cancelled(
            f"ended by {signal.Signals(number).name}: {str(error) or 'nothing half-written is left behind'}"
        )
        stopped.exit_code = 128 + number
        raise stopped from error
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    stopped = threading.Event()

    def check() -> None:
        if stopped.is_set():
            raise Cancelled("stopped; nothing half-written is left behind")

    def stop(_number: int, _frame: FrameType | None) -> None:
        _tell("stopping at the next step; Ctrl-C again stops at once")
        stopped.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():  # only there may signals be caught
        yield check
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
