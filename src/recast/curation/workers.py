"""The same jobs in this process, in several, or on a cluster. Which one, and in what order, changes no result."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Protocol, runtime_checkable

import cv2
import torch

from recast.curation.extras import extra
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
        # Jobs are handed out in order, so whichever ended its process is among the first that are left.
        for number in list(left)[: 2 * workers + 1]:
            _alone(left.pop(number))
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
    rows = ray.data.from_items([{"job": job} for job in jobs], override_num_blocks=len(jobs))
    for _ in rows.map(_done, num_cpus=1).iter_rows():
        yield


RUNNERS: dict[str, Runner] = {"local": local, "ray": through_ray}
"""Where jobs are done, by name."""


@dataclass(frozen=True)
class Crew:
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


def _done(row: dict[str, Job]) -> dict[str, bool]:
    with one_thread():
        row["job"]()
    return {"done": True}


def _pooled(jobs: dict[int, Job], workers: int) -> Iterator[int]:
    """The number of each job that was done; it ends early where one ended its process."""
    # Spawned, since a fork of a process whose threads hold locks may hang.
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn"), initializer=_prepare) as pool:
        try:
            futures: dict[Future[None], int] = {pool.submit(job): number for number, job in jobs.items()}
            for future in as_completed(futures):
                future.result()
                yield futures[future]
        except BrokenProcessPool:
            return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _alone(job: Job) -> None:
    if not list(_pooled({0: job}, 1)):
        job.crashed()


def _prepare() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
