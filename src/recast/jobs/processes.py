"""Processes that end when the work does: at its end, by an error, or because their parent was killed."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process


@contextmanager
def processes(workers: int, prepare: Callable[[], object] | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes. Where the block ends by an error, they are ended at once, not when their call is done.

    workers: at least 1. prepare: called in each before its first call; can be pickled.
    """
    before = set(active_children())
    # Spawned, since a fork of a process whose threads hold locks may hang.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_Start(prepare))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown()


@dataclass(frozen=True)
class _Start:
    """What a process does before its first call."""

    prepare: Callable[[], object] | None

    def __call__(self) -> None:
        # A process in the middle of a call would not notice that nobody waits for it.
        threading.Thread(target=_end_with_parent, daemon=True).start()
        if self.prepare:
            self.prepare()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "called in a process of a pool"
    parent.join()
    os._exit(1)
