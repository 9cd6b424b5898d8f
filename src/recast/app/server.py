"""The server: routes behind the guard, errors as JSON, and the worker processes that edit."""

import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles

from recast.app.config import ServeConfig
from recast.app.feed import JobFeed
from recast.app.files import TooLargeError
from recast.app.guard import Guard
from recast.app.routes import QueueFullError, routes
from recast.errors import MediaError, RecastError, RequestError, WriteError
from recast.jobs.store import JobStore

STATUSES: dict[type[RecastError], int] = {
    TooLargeError: 413,
    MediaError: 415,
    QueueFullError: 429,
    RequestError: 422,
    WriteError: 507,
    RecastError: 400,
}
"""What is answered to each error; the first that fits."""
BEGIN_SECONDS = 1.0
"""Workers import torch; the server, which the user waits for, goes first."""
RESTART_SECONDS = 2.0
PAGE = Path(__file__).parent / "page"


def application(config: ServeConfig) -> FastAPI:
    """The API of a data folder, as an ASGI application. It starts no worker."""
    from recast import __version__

    store = JobStore(config.data / "jobs.sqlite")
    feed = JobFeed(store)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with feed.running():
            yield

    app = FastAPI(title="recast", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(routes(config, store, feed))
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.add_middleware(Guard, config=config)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    _add_refusals(app, config)
    return app


def _add_refusals(app: FastAPI, config: ServeConfig) -> None:
    @app.exception_handler(RecastError)
    async def answered(_request: Request, error: RecastError) -> JSONResponse:
        status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
        missing = status == 422 and str(error).startswith("there is no such")
        return JSONResponse({"error": str(error).replace(f"{config.data}/", "")}, 404 if missing else status)

    @app.exception_handler(ClientDisconnect)
    async def hung_up(_request: Request, _error: ClientDisconnect) -> JSONResponse:
        # Nobody reads it; without it, each upload that is broken off is an exception in the log.
        return JSONResponse({"error": "the request broke off"}, 400)

    @app.exception_handler(HTTPException)
    async def nothing_there(_request: Request, error: HTTPException) -> JSONResponse:
        # Unknown paths, methods that a path has not, bodies that are no JSON.
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(FileNotFoundError)
    async def gone(_request: Request, _error: FileNotFoundError) -> JSONResponse:
        # Deleted by another client between the look for it and the answer.
        return JSONResponse({"error": "there is no such file any more"}, 404)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)


def serve(config: ServeConfig) -> None:
    """Answers until it is stopped, with the workers that edit."""
    import uvicorn

    with workers(config):
        uvicorn.run(
            application(config),
            host=config.host,
            port=config.port,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            h11_max_incomplete_event_size=65_536,
            limit_concurrency=1000,
        )


@contextmanager
def workers(config: ServeConfig) -> Iterator[None]:
    """Processes that edit, while the block runs; one that dies is started again."""
    over = threading.Event()
    threads = [threading.Thread(target=_keep_working, args=(config, over), daemon=True) for _ in range(config.workers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _keep_working(config: ServeConfig, over: threading.Event) -> None:
    command = [sys.executable, "-m", "recast", "worker", "--data-dir", str(config.data), "--while-stdin", "-q"]
    command += ["--most-attempts", str(config.most_attempts)]
    over.wait(BEGIN_SECONDS)
    while not over.is_set():
        # Its standard input ends when this process does, however it ends; then the worker stops too.
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            while process.poll() is None and not over.wait(0.2):
                pass
            process.terminate()
        if not over.is_set():
            time.sleep(RESTART_SECONDS)
