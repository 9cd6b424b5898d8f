"""What is answered under /api/v1. Each handler is a few calls into the queue, the uploads or the tables of parts."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse

from recast.app.abilities import Abilities
from recast.app.config import ServeConfig
from recast.app.feed import JobFeed
from recast.app.files import UserFile, UserFiles
from recast.app.jobs import ENDINGS, JobDesk, JobRequest, JobView, download_name, forgotten, result_path, view
from recast.app.making import Making
from recast.app.media_routes import Id, add_media
from recast.app.schedules import add_schedules
from recast.app.table_routes import add_tables
from recast.app.unchecked import Checks
from recast.errors import RequestError
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState

MOST_FOLLOWED = 200
"""Jobs that the stream of all of them tells of."""


def routes(config: ServeConfig, store: JobStore, feed: JobFeed) -> APIRouter:
    """The API over a queue."""
    router, began = APIRouter(prefix="/api/v1"), time.time()
    files, making = UserFiles(config.data / "files", config.most_upload_bytes), Making()
    abilities, checks = Abilities(config.data / "abilities", making), Checks()
    _add_files(router, files, checks)
    _add_jobs(router, config, store, JobDesk(config.data, files, abilities, checks))
    _add_results(router, config, store, feed)
    add_schedules(router, files, checks)
    add_media(router, config, store, files, making)
    add_tables(router, config, making, abilities, checks)

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Whether the server answers, and its version."""
        from recast import __version__

        return {"status": "ok", "version": __version__}

    @router.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> str:
        """Counts for Prometheus."""
        states = Counter(job.state for job in store.jobs())
        rows = [f'recast_jobs{{state="{state}"}} {states[state]}' for state in JobState]
        heads = ["# HELP recast_jobs Jobs by state.", "# TYPE recast_jobs gauge"]
        up = ["# TYPE recast_uptime_seconds counter", f"recast_uptime_seconds {time.time() - began:.0f}"]
        return "\n".join([*heads, *rows, *up, ""])

    return router


def _add_files(router: APIRouter, files: UserFiles, checks: Checks) -> None:
    @router.post("/files", status_code=201)
    async def send(request: Request, name: Annotated[str, Query(max_length=255)]) -> UserFile:
        """Takes a video or a picture: the file itself is the body."""
        sent = await files.add(name, request.stream())
        checks.begin()  # an edit will be asked for; not before, since the import would slow the look at the file
        return sent

    @router.get("/files/{number}")
    def facts(number: Id) -> UserFile:
        """What is known of a file."""
        return files.facts(number)

    @router.delete("/files/{number}", status_code=204)
    def remove(number: Id) -> None:
        """Deletes a file."""
        files.remove(number)


def _add_jobs(router: APIRouter, config: ServeConfig, store: JobStore, desk: JobDesk) -> None:
    @router.post("/jobs", status_code=201)
    def add(asked: JobRequest) -> JobView:
        """Queues an edit."""
        check_room(store, config.most_jobs)
        [number] = store.add([desk.document(asked)], batch=asked.batch, priority=asked.priority)
        return view(store.job(number))

    @router.get("/jobs")
    def listed(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        search: Annotated[str, Query(max_length=200, description="Words of the prompt, method or model.")] = "",
    ) -> list[JobView]:
        """The newest jobs, newest first; of all of them, where something is searched for."""
        found = map(view, store.newest(10**9 if search else limit))
        return list(islice((job for job in found if job.matches(search)), limit))

    @router.get("/jobs/{key}")
    def one(key: Id) -> JobView:
        """A job."""
        return view(store.keyed(key))

    @router.post("/jobs/{key}/cancel")
    def cancel(key: Id) -> JobView:
        """Cancels a job; a running one stops at its next step."""
        return view(store.cancel(store.keyed(key).id))

    @router.post("/jobs/{key}/retry")
    def retry(key: Id) -> JobView:
        """Queues a failed or cancelled job again."""
        return view(store.retry(store.keyed(key).id))

    @router.delete("/jobs/{key}", status_code=204)
    def remove(key: Id) -> None:
        """Forgets a job that is not running, and deletes its result."""
        forgotten(store.remove(store.keyed(key).id), config.data)


def _add_results(router: APIRouter, config: ServeConfig, store: JobStore, feed: JobFeed) -> None:
    @router.get("/jobs/{key}/events", response_class=StreamingResponse)
    async def events(key: Id) -> StreamingResponse:
        """The job at each change, as server-sent events, until it has ended."""
        await asyncio.to_thread(store.keyed, key)  # refused before the stream begins
        return StreamingResponse(_lines(feed, key), media_type="text/event-stream")

    @router.get("/events", response_class=StreamingResponse)
    async def every_event() -> StreamingResponse:
        """The newest jobs by id, then those that change, as server-sent events; null is one that is gone."""
        return StreamingResponse(_every_line(feed), media_type="text/event-stream")

    @router.get("/jobs/{key}/result", response_class=FileResponse)
    def result(request: Request, key: Id) -> FileResponse:
        """The edited clip; takes one Range."""
        if "," in request.headers.get("range", ""):
            raise RequestError("ask for one range at a time")
        job = store.keyed(key)
        path = result_path(job, config.data)
        return FileResponse(path, media_type=ENDINGS[path.suffix[1:]], filename=download_name(job))


def check_room(store: JobStore, most: int) -> None:
    """Raises QueueFullError where so many jobs wait or run."""
    waiting = [job for job in store.jobs() if job.state in (JobState.QUEUED, JobState.RUNNING)]
    if len(waiting) >= most:
        raise QueueFullError(f"{len(waiting)} jobs wait already; ask again when some are done")


async def _lines(feed: JobFeed, key: str) -> AsyncIterator[str]:
    async for job in feed.changes(key):
        yield ": still here\n\n" if job is None else f"data: {view(job).model_dump_json()}\n\n"


async def _every_line(feed: JobFeed) -> AsyncIterator[str]:
    async for jobs in feed.every_change(MOST_FOLLOWED):
        if jobs is None:
            yield ": still here\n\n"
        else:
            views = {key: job and view(job).model_dump(mode="json") for key, job in jobs.items()}
            yield f"data: {json.dumps(views)}\n\n"


class QueueFullError(RequestError):
    """Too many jobs wait."""
