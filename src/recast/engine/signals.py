"""Signals that stop a run: it finishes its step and saves first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from recast.errors import Cancelled, Preempted, RecastError

STOPS: dict[int, type[RecastError]] = {signal.SIGTERM: Preempted, signal.SIGINT: Cancelled}
"""What a run ends with, by the signal that asked for it."""


class Asked:
    """Which signal has asked the run to stop; 0 is none."""

    number = 0


@contextmanager
def asked() -> Iterator[Asked]:
    """Listens for SIGTERM and Ctrl-C while the block runs; a second one of a kind ends the process at once."""
    asked = Asked()

    def listen(number: int, _frame: FrameType | None) -> None:
        asked.number = number
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():  # only there may signals be caught
        yield asked
        return
    before = {number: signal.signal(number, listen) for number in STOPS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
