"""A worker: claims jobs of a store one after the other, shows that it lives, and stops when it is asked to."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from recast.errors import Cancelled, Preempted, RecastError
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState, StoredJob
from recast.progress import ProgressCallback

PROGRESS_SECONDS = 0.5
"""Progress is stored at most this often."""
BEATS = 4
"""Signs of life in one lease."""


@runtime_checkable
class Handler(Protocol):
    """What does the jobs of a store, in two steps, so that a death between them repeats nothing."""

    def make(self, job: StoredJob, watch: ProgressCallback) -> dict[str, Any]:
        """Makes the result, but not in its place, and returns what to tell of it. Killed, it is called again."""
        ...

    def publish(self, job: StoredJob) -> None:
        """Puts the result into its place. Killed, it is called again: what is in place already stays there."""
        ...

    def discard(self, job: StoredJob) -> None:
        """Removes what `make` left of a job that was cancelled or has failed, but for what a retry goes on with."""
        ...


@dataclass(frozen=True)
class Worker:
    """Does the jobs of a store. batch: only those of it. idle_seconds: between two looks at an empty queue.

    on_end: called with each job that has ended.
    """

    store: JobStore
    handler: Handler
    batch: str | None = None
    idle_seconds: float = 1.0
    on_end: Callable[[StoredJob], None] = lambda _job: None

    def run(self, watch: ProgressCallback, *, until_empty: bool = False) -> int:
        """Works until `watch` raises, or until the queue is empty; returns how many jobs it ended.

        until_empty: also waits for the jobs of other workers, because one of them may die.
        """
        count = 0
        while True:
            watch("wait", 0, 1)
            job = self.store.take(_new_name(), batch=self.batch)
            if job is not None:
                count += self._do(job, watch)
            elif until_empty and not self.store.jobs(batch=self.batch, state=JobState.RUNNING):
                return count
            else:
                time.sleep(self.idle_seconds)

    def _do(self, job: StoredJob, watch: ProgressCallback) -> bool:
        with Lease(self.store, job) as lease:
            try:
                made = job if job.made else self._make(lease, watch)
                if made is None:  # this worker slept, and the job is another's
                    return False
                self.handler.publish(made)
            except (Cancelled, Preempted, KeyboardInterrupt):
                if lease.lost:
                    return False
                if lease.cancelled:
                    return self._ended(job, JobState.CANCELLED)
                self.store.release(job)
                raise
            except RecastError as error:
                return self._ended(job, JobState.FAILED, str(error))
            except Exception as error:
                return self._ended(job, JobState.FAILED, f"{type(error).__name__}: {error}")
            return self._ended(job, JobState.DONE)

    def _make(self, lease: "Lease", watch: ProgressCallback) -> StoredJob | None:
        def both(stage: str, done: int, total: int) -> None:
            watch(stage, done, total)
            lease.watch(stage, done, total)

        return self.store.make(lease.job, self.handler.make(lease.job, both))

    def _ended(self, job: StoredJob, state: JobState, error: str = "") -> bool:
        ended = self.store.finish(job, state, error)
        if ended is None:
            return False
        if state is not JobState.DONE and not ended.made:  # what is complete can still be put in place by a retry
            self.handler.discard(ended)
        self.on_end(ended)
        return True


class Lease:
    """Shows from a thread of its own that a job's worker lives, while the block runs.

    cancelled: the job shall stop. lost: it is another worker's now, because this one was silent for too long.
    """

    def __init__(self, store: JobStore, job: StoredJob) -> None:
        self.store, self.job = store, job
        self.cancelled = self.lost = False
        self._progress = ("", 0, 0)
        self._due = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat_on, daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def watch(self, stage: str, done: int, total: int) -> None:
        """Takes progress. Raises Cancelled where the job shall stop here."""
        self._progress = (stage, done, total)
        if time.monotonic() >= self._due:
            self._beat()
        if self.lost or self.cancelled:
            raise Cancelled(f"job {self.job.id} was {'taken over' if self.lost else 'cancelled'}")

    def _beat(self) -> None:
        with self._lock:
            job = self.store.beat(self.job, *self._progress)
            self.lost = job is None
            self.cancelled = job is not None and job.cancel
            self._due = time.monotonic() + min(PROGRESS_SECONDS, self.store.lease_seconds / BEATS)

    def _beat_on(self) -> None:
        while not self._over.wait(self.store.lease_seconds / BEATS):
            self._beat()


def _new_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
