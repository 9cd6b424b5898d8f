"""`recast serve`: the page, and edits over HTTP."""

from typing import Annotated

import typer

from recast.cli.queue import DataDir, MostAttempts, data_folder
from recast.errors import extra


def serve(
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535)] = 7860,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TEXT", envvar="RECAST_TOKEN", help="What clients must show; 16 characters."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME:PORT", help="A name by which it is reached; may be repeated."),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=0, max=64, help="Processes that edit.")] = 1,
    most_attempts: MostAttempts = None,
    data_dir: DataDir = None,
) -> None:
    """Serve a page to edit clips on, and an API, on this machine; to others only with --token and --allow-host."""
    with extra("app"):
        import fastapi  # noqa: F401 -- to say which extra is missing, before anything starts
        import uvicorn  # noqa: F401
    from recast.app.config import ServeConfig
    from recast.app.server import serve as served
    from recast.jobs.store import MOST_ATTEMPTS

    typer.echo(f"http://{host}:{port}", err=True)
    most, names = most_attempts or MOST_ATTEMPTS, tuple(allow_host or ())
    served(ServeConfig(data_folder(data_dir), host, port, token, names, workers=workers, most_attempts=most))
