"""What a queue knows of a job."""

import json
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job is on its way."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class StoredJob:
    """A job as the store has it.

    key: a name that nobody guesses. document: what is to be done, in JSON's types. batch: jobs that were added
    together; "" is none. attempts: how often a worker took it. cancel: its worker is asked to stop. made: its result is
    complete, and perhaps not yet in its place. worker, lease: who does it, and until when (seconds of the system's
    clock) it counts as alive.
    stage, done, total: its progress. result: what its handler told of it. error: why it failed.
    """

    id: int
    key: str
    batch: str
    document: dict[str, Any]
    state: JobState
    priority: int
    attempts: int
    cancel: bool
    made: bool
    worker: str | None
    lease: float | None
    created: float
    started: float | None
    finished: float | None
    stage: str
    done: int
    total: int
    result: dict[str, Any] | None
    error: str


def job_of(row: sqlite3.Row) -> StoredJob:
    """The job of a row of the table."""
    held = dict(row)
    return StoredJob(
        **held
        | {
            "document": json.loads(held["document"]),
            "state": JobState(held["state"]),
            "cancel": bool(held["cancel"]),
            "made": bool(held["made"]),
            "result": held["result"] and json.loads(held["result"]),
        }
    )
