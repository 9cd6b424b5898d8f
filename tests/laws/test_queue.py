"""A queue of jobs: each is done once, by whoever lives; order, leases, cancelling, retries."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from queued_deeds import Scribe
from recast.errors import Cancelled, RequestError
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState
from recast.jobs.worker import Lease, Worker

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "data" / "jobs.sqlite", lease_seconds=0.3, most_attempts=1000)


def idle(_stage, _done, _total):
    pass


def documents(folder, count, text="abcdefgh"):
    return [{"target": str(folder / f"{number}.txt"), "text": f"{text}{number}"} for number in range(count)]


def worked(store, scribe):
    """A worker in this process, until no job is left; the jobs that it told of."""
    ended = []
    Worker(store, scribe, idle_seconds=0.02, on_end=ended.append).run(idle, until_empty=True)
    return ended


def test_the_highest_priority_goes_first_then_the_oldest(store):
    first, second = store.add([{"a": 1}, {"a": 2}])
    [urgent] = store.add([{"a": 3}], priority=5)
    assert [store.take("w").id for _ in range(3)] == [urgent, first, second]
    assert store.take("w") is None


def test_many_processes_do_each_job_once(store, tmp_path):
    jobs = documents(tmp_path, 30, text="a")
    store.add(jobs)
    scribe = Scribe(tmp_path / "log")
    processes = [FORK.Process(target=worked, args=(store, scribe)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert {job.state for job in store.jobs()} == {JobState.DONE}
    assert Counter(scribe.log.read_text().split()) == {str(job.id): 1 for job in store.jobs()}


def test_killed_workers_lose_no_job_and_repeat_none(store, tmp_path):
    jobs = documents(tmp_path, 12, text="a text of some length, so that kills fall into it ")
    store.add(jobs)
    scribe, rng, kills = Scribe(tmp_path / "log", letter_seconds=0.005), random.Random(0), 0
    while not all(job.state is JobState.DONE for job in store.jobs()):
        process = FORK.Process(target=worked, args=(store, scribe))
        process.start()
        process.join(timeout=rng.uniform(0.02, 0.6) if kills < 10 else None)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
    assert kills > 3
    assert all((tmp_path / f"{number}.txt").read_text() == job["text"] for number, job in enumerate(jobs))
    # One that was killed between its rename and its line has no line, and none has two.
    assert max(Counter(scribe.log.read_text().split()).values()) == 1
    assert not list(tmp_path.glob("*.part"))


def test_a_job_that_kills_its_workers_fails_in_the_end(store):
    mortal = replace(store, most_attempts=3, lease_seconds=-1.0)  # each claim is over at once, as after a death
    [number] = mortal.add([{}])
    assert [mortal.take("w").attempts for _ in range(3)] == [1, 2, 3]
    assert mortal.take("w") is None
    assert mortal.job(number).error == "its worker died 3 times"


def test_a_worker_that_slept_past_its_lease_ends_nothing(store):
    store.add([{}])
    slept = replace(store, lease_seconds=-1.0).take("first")
    taken = store.take("second")
    assert taken.id == slept.id
    assert (
        store.beat(slept) is store.make(slept, {}) is store.finish(slept, JobState.DONE) is store.release(slept) is None
    )
    assert store.finish(taken, JobState.DONE).state is JobState.DONE


def test_a_living_worker_keeps_its_job_however_long_it_takes(store):
    store.add([{}])
    store = replace(store, lease_seconds=1.0)  # long enough for a busy machine
    with Lease(store, store.take("w")):
        time.sleep(1.5 * store.lease_seconds)
        assert store.take("another") is None


def test_what_is_made_is_put_in_place_by_the_next_worker_without_making_it_again(store, tmp_path):
    [number] = store.add(documents(tmp_path, 1))
    scribe = Scribe(tmp_path / "log")
    dead = replace(store, lease_seconds=-1.0)
    job = dead.take("dead")
    dead.make(job, scribe.make(job, idle))
    spoiled = Scribe(tmp_path / "log")
    [ended] = worked(store, replace(spoiled, letter_seconds=1e9))  # it would not end if it were made again
    assert (ended.id, ended.state, ended.result) == (number, JobState.DONE, {"letters": 9})
    assert (tmp_path / "0.txt").read_text() == "abcdefgh0"


def test_cancelling_ends_a_waiting_job_at_once_and_a_running_one_at_its_next_step(store, tmp_path):
    first, second = store.add(documents(tmp_path, 2, text="x" * 500))
    thread = threading.Thread(target=worked, args=(store, Scribe(tmp_path / "log", letter_seconds=0.01)))
    thread.start()
    while store.job(first).state is not JobState.RUNNING:
        time.sleep(0.01)
    assert store.cancel(second).state is JobState.CANCELLED
    assert store.cancel(first).state is JobState.RUNNING
    thread.join(timeout=5)
    assert store.job(first).state is JobState.CANCELLED
    assert not list(tmp_path.glob("*.txt*"))
    with pytest.raises(RequestError, match=f"job {first} is cancelled and cannot be cancelled"):
        store.cancel(first)


def test_a_stopped_worker_gives_its_job_back_and_that_is_no_attempt(store, tmp_path):
    [number] = store.add(documents(tmp_path, 1))

    def stop(stage, done, _total):
        if stage == "write" and done == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        Worker(store, Scribe(tmp_path / "log")).run(stop)
    job = store.job(number)
    assert (job.state, job.attempts, job.worker) == (JobState.QUEUED, 0, None)


def test_a_failed_job_says_why_and_can_be_tried_again(store, tmp_path):
    [number] = store.add([{"target": str(tmp_path / "a.txt"), "text": "refused"}])
    [ended] = worked(store, Scribe(tmp_path / "log"))
    assert (ended.state, ended.error) == (JobState.FAILED, "no such text")
    assert store.retry(number).state is JobState.QUEUED
    with pytest.raises(RequestError, match="is queued and cannot be tried again"):
        store.retry(number)


def test_a_batch_takes_each_document_once_and_is_added_whole_or_not_at_all(store):
    assert store.add([{"a": 1}, {"a": 2}], batch="b") == store.add([{"a": 1}, {"a": 2}], batch="b")
    with pytest.raises(TypeError):
        store.add([{"a": 3}, {"a": object()}], batch="b")
    assert [job.document for job in store.jobs(batch="b")] == [{"a": 1}, {"a": 2}]


def test_a_file_that_is_no_queue_is_refused(tmp_path):
    path = tmp_path / "jobs.sqlite"
    path.write_text("something else, and long enough to be read as a page of a data base" * 20)
    with pytest.raises(RequestError, match="no queue of jobs can be kept"):
        JobStore(path)
