"""Runners of jobs: one process, several, or a cluster. Neither the runner nor the order changes a result."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import torch

from recast.errors import extra
from recast.jobs.processes import processes
from recast.progress import ProgressCallback


@runtime_checkable
class Job(Protocol):
    """A unit of work that writes its result to a file. It can be pickled."""

    def __call__(self) -> None:
        """Runs the job."""
        ...

    def crashed(self) -> None:
        """Called instead of the job where running it crashed the process; writes a result, or raises."""
        ...


Runner = Callable[[Sequence[Job], int], Iterator[None]]
"""Runs jobs with that many workers, and yields once for each that is done."""


def local(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """Runs jobs in processes of this machine. A job that crashes its process (a broken codec) is skipped."""
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
        # Jobs are started in order, so the one that crashed is among the first that are left. A single process then
        # finds it: the first job that it did not finish.
        suspects = list(left)[: 2 * workers + 1]
        for number in _pooled({number: left[number] for number in suspects}, 1):
            del left[number]
            yield
        if culprits := [number for number in suspects if number in left]:
            left.pop(culprits[0]).crashed()
            yield


def through_ray(jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """Runs jobs with Ray Data: on the cluster of RAY_ADDRESS, which shares the folder, else with local workers."""
    start_ray(workers)
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    listed = list(jobs)

    def done(row: dict[str, int]) -> dict[str, int]:
        with one_thread():
            listed[row["id"]]()
        return row

    for _ in ray.data.range(len(listed), override_num_blocks=len(listed)).map(done, num_cpus=1).iter_rows():
        yield


def start_ray(cores: int | None = None) -> None:
    """Starts Ray, unless it runs: on the cluster of RAY_ADDRESS, else here with so many cores (all: None).

    Raises ExtraError where it is not installed.
    """
    with extra("ray"):
        import ray
    if not ray.is_initialized():
        here = None if os.environ.get("RAY_ADDRESS") else cores
        ray.init(num_cpus=here, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)


RUNNERS: dict[str, Runner] = {"local": local, "ray": through_ray}
"""Runners by name."""


@dataclass(frozen=True)
class Executor:
    """Runs jobs with a number of workers, by a runner of RUNNERS."""

    workers: int = 1
    runner: str = "local"

    def do(self, stage: str, jobs: Sequence[Job], watch: ProgressCallback) -> None:
        """Runs jobs, and reports how many are done."""
        watch(stage, 0, len(jobs))
        for count, _ in enumerate(RUNNERS[self.runner](jobs, self.workers) if jobs else (), 1):
            watch(stage, count, len(jobs))


ONE_WORKER = Executor()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and OpenCV: the order of sums is fixed, and processes do not compete for cores."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _pooled(jobs: dict[int, Job], workers: int) -> Iterator[int]:
    """Yields the key of each job that is done; the others are not, because one of them crashed its process."""
    if not jobs:
        return
    with processes(min(workers, len(jobs)), _prepare) as pool:
        futures: dict[Future[None], int] = {}
        with suppress(BrokenProcessPool):
            for number, job in jobs.items():
                futures[pool.submit(job)] = number
        for future in as_completed(futures):
            with suppress(BrokenProcessPool):
                future.result()
                yield futures[future]


def _prepare() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
