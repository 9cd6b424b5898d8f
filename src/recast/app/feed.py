"""Tells those who wait when jobs change; the queue's file is looked at once for all of them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from recast.errors import RequestError
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState, StoredJob

LOOK_SECONDS = 0.25
QUIET_SECONDS = 15
"""After so long without news a stream says that it still lives, so that nothing between closes it."""
ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class JobFeed:
    """Changes of the jobs in a queue, whoever made them."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._count = 0
        self._changed = asyncio.Condition()
        self._reading = asyncio.Lock()
        self._read: tuple[int, int, dict[str, StoredJob]] = (-1, 0, {})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks while the block runs."""
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def changes(self, key: str) -> AsyncIterator[StoredJob | None]:
        """A job now, at each change, and when it has ended or is gone, which is the end; None after a quiet time."""
        seen, count = None, -1
        while True:
            now = await self._next(count)
            if now == count:
                yield None
                continue
            count = now
            try:
                job = await asyncio.to_thread(self._store.keyed, key)
            except RequestError:
                return
            if job != seen:
                seen = job
                yield job
            if job.state in ENDED:
                return

    async def every_change(self, most: int) -> AsyncIterator[dict[str, StoredJob | None] | None]:
        """The newest jobs by key, then at each change those that changed, None for one that is gone; as `changes`."""
        seen: dict[str, StoredJob] = {}
        count = -1
        while True:
            now = await self._next(count)
            if now == count:
                yield None
                continue
            found = await self._newest(now, most)
            changed: dict[str, StoredJob | None] = {key: job for key, job in found.items() if seen.get(key) != job}
            changed |= dict.fromkeys(seen.keys() - found.keys())
            if changed or count < 0:
                yield changed
            seen, count = found, now

    async def _newest(self, count: int, most: int) -> dict[str, StoredJob]:
        """The newest jobs by key, read once for all who ask at one change."""
        async with self._reading:
            if self._read[:2] != (count, most):
                jobs = await asyncio.to_thread(self._store.newest, most)
                self._read = (count, most, {job.key: job for job in jobs})
            return self._read[2]

    async def _next(self, count: int) -> int:
        """The number of the newest change: waits for one after `count`, but not longer than QUIET_SECONDS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._count != count)
        return self._count

    async def _look(self) -> None:
        # The version that one connection sees changes with each write by another.
        with closing(sqlite3.connect(self._store.path)) as db:
            version = 0
            while True:
                found = db.execute("PRAGMA data_version").fetchone()[0]
                if found != version:
                    version = found
                    async with self._changed:
                        self._count += 1
                        self._changed.notify_all()
                await asyncio.sleep(LOOK_SECONDS)
