"""Workers that are killed at random, fifty times: every edit is there in the end, with the bytes of a quiet run."""

import multiprocessing
import os
import random
import signal
from pathlib import Path

import pytest

from recast.editing.queued import EditHandler, document_of
from recast.editing.request import Request
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState
from recast.jobs.worker import Worker
from tiny_folder import clip_folder, written

FORK = multiprocessing.get_context("fork")
KILLS, CLIPS = 50, 12


def idle(_stage, _done, _total):
    pass


def store_of(folder: Path, model: Path, clip: Path) -> JobStore:
    """A queue of edits into `folder`, by seed."""
    folder.mkdir()
    common = {"source": clip, "prompt": "a red ball", "model": str(model), "steps": 2}
    store = JobStore(folder / "jobs.sqlite", lease_seconds=0.5, most_attempts=10**6)
    store.add([document_of(Request.asked(**common, seed=n, target=folder / f"{n}.mp4")) for n in range(CLIPS)])
    return store


def work(store):
    Worker(store, EditHandler(), idle_seconds=0.05).run(idle, until_empty=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_workers_lose_no_edit_and_change_none(tmp_path):
    model, clip = written(tmp_path / "model"), clip_folder(tmp_path / "clip")
    quiet, killed = (store_of(tmp_path / name, model, clip) for name in ("quiet", "killed"))
    work(quiet)  # in this process, so that what is imported late is there for its children
    rng, kills = random.Random(0), 0
    while any(job.state is not JobState.DONE for job in killed.jobs()):
        workers = [FORK.Process(target=work, args=(killed,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=rng.uniform(0.1, 1.2) if kills < KILLS else None)
            if worker.exitcode is None:
                os.kill(worker.pid, signal.SIGKILL)
                worker.join()
                kills += 1
    print(f"{kills} kills")
    assert kills > 0
    files = {path.name: path.read_bytes() for path in quiet.path.parent.glob("*.mp4")}
    assert len(files) == CLIPS
    left = {path.name: path.read_bytes() for path in killed.path.parent.iterdir() if "jobs.sqlite" not in path.name}
    assert left == files
