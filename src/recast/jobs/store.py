"""A queue of jobs in one SQLite file, shared by any number of processes; a worker's death loses and repeats nothing."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from recast.errors import RequestError
from recast.jobs.stored import JobState, StoredJob, job_of

LEASE_SECONDS = 30.0
"""How long a claimed job is its worker's without a sign of life."""
MOST_ATTEMPTS = 5
"""Claims of a job whose workers died; then it has failed, so that a job that kills its worker does not go round."""
VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  batch TEXT NOT NULL,
  document TEXT NOT NULL,
  state TEXT NOT NULL,
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  cancel INTEGER NOT NULL DEFAULT 0,
  made INTEGER NOT NULL DEFAULT 0,
  worker TEXT,
  lease REAL,
  created REAL NOT NULL,
  started REAL,
  finished REAL,
  stage TEXT NOT NULL DEFAULT '',
  done INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL DEFAULT 0,
  result TEXT,
  error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_turn ON jobs (state, priority DESC, id);
"""


@dataclass(frozen=True)
class JobStore:
    """Jobs in the SQLite file `path`, on a local disk. Each call is one transaction, on the disk when it returns."""

    path: Path
    lease_seconds: float = LEASE_SECONDS
    most_attempts: int = MOST_ATTEMPTS

    def __post_init__(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, VERSION):
                    raise RequestError(f"{self.path} is a queue of version {version}, and this recast has {VERSION}")
                db.execute("PRAGMA journal_mode=WAL")
                db.executescript(SCHEMA)
                db.execute(f"PRAGMA user_version={VERSION}")
        except (OSError, sqlite3.DatabaseError) as error:
            raise RequestError(f"no queue of jobs can be kept in {self.path} ({error}); name another folder") from error

    def add(self, documents: list[dict[str, Any]], *, batch: str = "", priority: int = 0) -> list[int]:
        """Adds jobs, all of them or none, and returns their numbers. The highest priority goes first, then the oldest.

        In a batch, a document that it has already is not added again: its number is returned.
        """
        with self._write() as db:
            return [self._add(db, json.dumps(each), batch, priority) for each in documents]

    def _add(self, db: sqlite3.Connection, document: str, batch: str, priority: int) -> int:
        held = db.execute("SELECT id FROM jobs WHERE batch=? AND document=?", (batch, document)).fetchone()
        if batch and held:
            return held[0]
        values = (token_hex(16), batch, document, JobState.QUEUED, priority, time.time())
        insert = "INSERT INTO jobs (key, batch, document, state, priority, created) VALUES (?, ?, ?, ?, ?, ?)"
        return int(db.execute(insert, values).lastrowid or 0)

    def jobs(self, *, batch: str | None = None, state: JobState | None = None) -> list[StoredJob]:
        """All jobs, oldest first; of one batch, and in one state, if asked for."""
        where = "(:batch IS NULL OR batch=:batch) AND (:state IS NULL OR state=:state)"
        with self._open() as db:
            rows = db.execute(f"SELECT * FROM jobs WHERE {where} ORDER BY id", {"batch": batch, "state": state})
            return [job_of(row) for row in rows]

    def newest(self, most: int) -> list[StoredJob]:
        """The newest jobs, newest first."""
        with self._open() as db:
            return [job_of(row) for row in db.execute("SELECT * FROM jobs ORDER BY id DESC LIMIT ?", (most,))]

    def job(self, number: int) -> StoredJob:
        """One job. Raises RequestError where there is none of that number."""
        with self._open() as db:
            row = db.execute("SELECT * FROM jobs WHERE id=?", (number,)).fetchone()
        if row is None:
            raise RequestError(f"there is no job {number} in {self.path}; `recast queue ls` shows them")
        return job_of(row)

    def keyed(self, key: str) -> StoredJob:
        """The job of that key. Raises RequestError where there is none."""
        with self._open() as db:
            row = db.execute("SELECT * FROM jobs WHERE key=?", (key,)).fetchone()
        if row is None:
            raise RequestError("there is no such job")
        return job_of(row)

    def take(self, worker: str, *, batch: str | None = None) -> StoredJob | None:
        """Makes the next job the worker's and returns it; None where no job waits.

        A job whose worker has given no sign of life for `lease_seconds` waits again.
        """
        asked = {"now": time.time(), "worker": worker, "batch": batch, "most": self.most_attempts}
        asked["lease"] = asked["now"] + self.lease_seconds
        with self._write() as db:
            db.execute(_GIVE_UP, asked)
            row = db.execute(_TAKE, asked).fetchone()
        return row and job_of(row)

    def beat(self, job: StoredJob, stage: str = "", done: int = 0, total: int = 0) -> StoredJob | None:
        """A sign of life from the job's worker, with its progress. None where the job is no longer that worker's."""
        values = (time.time() + self.lease_seconds, stage, done, total)
        return self._own(job, "lease=?, stage=?, done=?, total=?", values)

    def make(self, job: StoredJob, result: dict[str, Any]) -> StoredJob | None:
        """Notes that the result is complete, so that it is never made again. None as in `beat`."""
        values = (json.dumps(result), time.time() + self.lease_seconds)
        return self._own(job, "made=1, result=?, lease=?", values)

    def finish(self, job: StoredJob, state: JobState, error: str = "") -> StoredJob | None:
        """Ends a job. None as in `beat`."""
        return self._own(job, "state=?, error=?, finished=?, worker=NULL, lease=NULL", (state, error, time.time()))

    def release(self, job: StoredJob) -> StoredJob | None:
        """Puts a job back into the queue because its worker stops; that is no attempt. None as in `beat`."""
        return self._own(job, "state='queued', attempts=attempts-1, worker=NULL, lease=NULL", ())

    def cancel(self, number: int) -> StoredJob:
        """Ends a waiting job; asks the worker of a running one to stop. Raises RequestError for one that has ended."""
        now = time.time()
        waiting = "UPDATE jobs SET state='cancelled', finished=? WHERE id=? AND state='queued' RETURNING *"
        running = "UPDATE jobs SET cancel=1 WHERE id=? AND state='running' RETURNING *"
        with self._write() as db:
            row = db.execute(waiting, (now, number)).fetchone() or db.execute(running, (number,)).fetchone()
        return job_of(row) if row else self._refuse(number, "cancelled")

    def retry(self, number: int) -> StoredJob:
        """Queues a failed or cancelled job again. Raises RequestError for another."""
        again = (
            "UPDATE jobs SET state='queued', attempts=0, cancel=0, error='', started=NULL, finished=NULL "
            "WHERE id=? AND state IN ('failed', 'cancelled') RETURNING *"
        )
        with self._write() as db:
            row = db.execute(again, (number,)).fetchone()
        return job_of(row) if row else self._refuse(number, "tried again")

    def remove(self, number: int) -> StoredJob:
        """Forgets a job that is not running; what it made stays. Raises RequestError for a running one."""
        with self._write() as db:
            row = db.execute("DELETE FROM jobs WHERE id=? AND state<>'running' RETURNING *", (number,)).fetchone()
        return job_of(row) if row else self._refuse(number, "removed")

    def _refuse(self, number: int, what: str) -> StoredJob:
        raise RequestError(f"job {number} is {self.job(number).state} and cannot be {what}")

    def _own(self, job: StoredJob, change: str, values: tuple[object, ...]) -> StoredJob | None:
        # The worker's name is new for each claim, so a worker that slept past its lease cannot end another's work.
        where = "WHERE id=? AND worker=? AND state='running' RETURNING *"
        with self._write() as db:
            row = db.execute(f"UPDATE jobs SET {change} {where}", (*values, job.id, job.worker)).fetchone()
        return row and job_of(row)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection for each call: one that is kept may not cross threads or forks.
        with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous=FULL")
            yield db

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


_GIVE_UP = f"""
UPDATE jobs
SET state = CASE WHEN cancel THEN '{JobState.CANCELLED}' ELSE '{JobState.FAILED}' END,
    error = CASE WHEN cancel THEN '' ELSE 'its worker died ' || attempts || ' times' END,
    finished = :now, worker = NULL, lease = NULL
WHERE state = '{JobState.RUNNING}' AND lease < :now AND (cancel OR attempts >= :most)
"""
_TAKE = f"""
UPDATE jobs
SET state = '{JobState.RUNNING}', worker = :worker, lease = :lease, attempts = attempts + 1, started = :now
WHERE id = (
  SELECT id FROM jobs
  WHERE (state = '{JobState.QUEUED}' OR (state = '{JobState.RUNNING}' AND lease < :now))
    AND (:batch IS NULL OR batch = :batch)
  ORDER BY priority DESC, id LIMIT 1)
RETURNING *
"""
