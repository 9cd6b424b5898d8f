"""A long edit that is cancelled keeps its segments: a retry goes on there, and ends with the same bytes."""

import time
from pathlib import Path

from recast.editing.queued import EditHandler, document_of, made_at
from recast.editing.request import Request
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState
from recast.jobs.worker import Worker
from tiny_folder import clip_folder, written

SEGMENTS = {"frames": 12, "segment": 4}


def shares(store, act=lambda _share: None):
    """Does the jobs of a store; how much of the denoising was done at each report that was not the first."""
    seen = []

    def watch(stage, done, total):
        if stage == "denoise" and done:
            seen.append(done / total)
            act(done / total)

    Worker(store, EditHandler(), idle_seconds=0.01).run(watch, until_empty=True)
    return seen


def queued(folder: Path, model: Path, clip: Path) -> tuple[JobStore, Path]:
    folder.mkdir()
    store, target = JobStore(folder / "jobs.sqlite", lease_seconds=0.04), folder / "edited.mkv"
    wish = {"prompt": "a red ball", "model": str(model), "steps": 2, "segment": SEGMENTS["segment"], "window": 4}
    store.add([document_of(Request.asked(source=clip, target=target, **wish))])
    return store, target


def test_a_retry_goes_on_where_a_cancelled_edit_was(tmp_path):
    model, clip = written(tmp_path / "model"), clip_folder(tmp_path / "clip", frames=SEGMENTS["frames"])
    quiet, undisturbed = queued(tmp_path / "quiet", model, clip)
    assert min(shares(quiet)) < 0.3
    store, target = queued(tmp_path / "cancelled", model, clip)

    def cancel(share):
        if share > 0.5 and not store.job(1).cancel:
            store.cancel(1)
            time.sleep(0.1)  # until the lease has seen it

    shares(store, cancel)
    assert store.job(1).state is JobState.CANCELLED
    assert made_at(store.job(1)).parent.is_dir()
    store.retry(1)
    assert min(shares(store)) > 0.3
    assert target.read_bytes() == undisturbed.read_bytes()
    assert not made_at(store.job(1)).parent.exists()


def test_removing_a_cancelled_job_removes_its_segments(tmp_path):
    model, clip = written(tmp_path / "model"), clip_folder(tmp_path / "clip", frames=SEGMENTS["frames"])
    store, _ = queued(tmp_path / "removed", model, clip)
    shares(store, lambda _share: store.job(1).cancel or (store.cancel(1), time.sleep(0.1)))
    job = store.remove(1)
    assert made_at(job).parent.is_dir()
    EditHandler().forget(job)
    assert not made_at(job).parent.exists()
