"""The same jobs in this process, in several, or on a cluster. Which one, and in what order, changes no result."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Protocol, runtime_checkable

import cv2
import torch

from recast.errors import extra
from recast.types import Watch


@runtime_checkable
class Job(Protocol):
    """A piece of work that leaves its outcome in a file. It can be sent to another process."""

    def __call__(self) -> None:
        """Does it."""
        ...

    def crashed(self) -> None:
        """Called in its place where doing it ended the process; leaves an outcome, or raises."""
        ...


Runner = Callable[[Sequence[Job], int], Iterator[None]]
"""Does jobs with so many workers, and yields once for each that is done."""


def local(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """In processes of this machine; a job that ends its process, as a broken codec may, is found out and given up."""
    if workers == 1:
        with one_thread():
            for job in jobs:
                yield job()
        return
    left = dict(enumerate(jobs))
    while left:
        for number in _pooled(left, workers):
            del left[number]
            yield
        # Jobs are handed out in order: whichever ended its process is among the first that are left. One process finds
        # it, as the first of those that it did not do.
        suspects = list(left)[: 2 * workers + 1]
        for number in _pooled({number: left[number] for number in suspects}, 1):
            del left[number]
            yield
        if culprits := [number for number in suspects if number in left]:
            left.pop(culprits[0]).crashed()
            yield


def through_ray(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """With Ray Data: on the cluster of RAY_ADDRESS, whose machines share the folder, else with local workers."""
    with extra("ray"):
        import ray
        import ray.data
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    if not ray.is_initialized():
        cores = None if os.environ.get("RAY_ADDRESS") else workers
        ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    told = list(jobs)

    def done(row: dict[str, int]) -> dict[str, int]:
        with one_thread():
            told[row["id"]]()
        return row

    for _ in ray.data.range(len(told), override_num_blocks=len(told)).map(done, num_cpus=1).iter_rows():
        yield


RUNNERS: dict[str, Runner] = {"local": local, "ray": through_ray}
"""Where jobs are done, by name."""


@dataclass(frozen=True)
class Executor:
    """Who does jobs: so many workers, by a runner of RUNNERS."""

    workers: int = 1
    runner: str = "local"

    def do(self, stage: str, jobs: Sequence[Job], watch: Watch) -> None:
        """Does jobs, and reports how many are done."""
        watch(stage, 0, len(jobs))
        for count, _ in enumerate(RUNNERS[self.runner](jobs, self.workers) if jobs else (), 1):
            watch(stage, count, len(jobs))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and OpenCV: sums then come in one order, and processes do not wait for each other."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _pooled(jobs: dict[int, Job], workers: int) -> Iterator[int]:
    """The number of each job that was done; the others were not, because one of them ended its process."""
    if not jobs:
        return
    # Spawned, since a fork of a process whose threads hold locks may hang.
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn"), initializer=_prepare) as pool:
        futures: dict[Future[None], int] = {}
        try:
            with suppress(BrokenProcessPool):
                for number, job in jobs.items():
                    futures[pool.submit(job)] = number
            for future in as_completed(futures):
                with suppress(BrokenProcessPool):
                    future.result()
                    yield futures[future]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
