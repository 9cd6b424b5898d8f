"""`recast queue`, `recast worker`: edits that wait in a file, and the process that does them."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import FLAGS, Input, Json, Output, Overwrite, Quiet, Settings, flagged, request_from, usual_target
from recast.cli.partial import PartialOutput, write_out
from recast.cli.progress import shown
from recast.cli.table import table, tell, visible
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.jobs.store import JobStore
    from recast.jobs.stored import StoredJob
    from recast.jobs.worker import Handler

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where the queue is kept (default: the user's data folder)."),
]
MostAttempts = Annotated[
    int | None,
    typer.Option(
        "--most-attempts", metavar="N", min=1, help="A job has failed when N workers died with it [default: 5]."
    ),
]
ThroughRay = Annotated[
    bool, typer.Option("--ray", help="On the Ray cluster of RAY_ADDRESS, whose machines share the folders, else here.")
]
Number = Annotated[int, typer.Argument(metavar="N", min=1, max=2**63 - 1, help="The job's number.")]

queue = typer.Typer(name="queue", no_args_is_help=True, help="Edits that wait for a worker, and what came of them.")


def data_folder(folder: Path | None) -> Path:
    """The data folder: as given, else RECAST_HOME, else the user's own."""
    from platformdirs import user_data_path

    own = os.environ.get("RECAST_HOME")
    return (folder or (Path(own) if own else user_data_path("recast"))).absolute()


def store_in(folder: Path | None, most_attempts: int | None = None) -> "JobStore":
    """The queue in a data folder. Raises RequestError for one that it cannot be kept in."""
    from recast.jobs.store import MOST_ATTEMPTS, JobStore

    return JobStore(data_folder(folder) / "jobs.sqlite", most_attempts=most_attempts or MOST_ATTEMPTS)


@queue.command("add")
@flagged(*FLAGS)
def add(
    source: Input,
    output: Output = None,
    *,
    priority: Annotated[int, typer.Option("--priority", metavar="N", help="The highest goes first.")] = 0,
    settings: Settings = None,
    overwrite: Overwrite = False,
    data_dir: DataDir = None,
    **options: object,
) -> None:
    """Add an edit, with the flags of `recast edit`; prints its number."""
    from recast.editing.queued import check_queued, document_of

    target = output or usual_target(source)
    request = request_from(source, target, options, settings, overwrite=overwrite)
    check_queued(request)
    print(store_in(data_dir).add([document_of(request)], priority=priority)[0])


@queue.command("ls")
def ls(*, as_json: Json = False, data_dir: DataDir = None) -> None:
    """List all jobs, oldest first."""
    jobs = store_in(data_dir).jobs()
    if as_json:
        print(json.dumps([asdict(job) for job in jobs]))
    elif jobs:
        table(("job", "state", "progress", "time", "result"), [_row(job) for job in jobs])


@queue.command("show")
def show(number: Number, *, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Show one job: its settings, and how it went."""
    facts = dict[str, object](asdict(store_in(data_dir).job(number)))
    print(json.dumps(facts)) if as_json else tell(facts)


@queue.command("cancel")
def cancel(number: Number, *, data_dir: DataDir = None) -> None:
    """Cancel a job; a running one stops at its next step."""
    job = store_in(data_dir).cancel(number)
    _tell(job, "cancelled" if job.state == "cancelled" else "stops at its next step")


@queue.command("retry")
def retry(number: Number, *, data_dir: DataDir = None) -> None:
    """Queue a failed or cancelled job again."""
    _tell(store_in(data_dir).retry(number), "queued again")


@queue.command("partial")
def partial(
    number: Number,
    output: PartialOutput = None,
    *,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    data_dir: DataDir = None,
) -> None:
    """Write out what is finished of a long edit that was cancelled; a retry still goes on there."""
    from recast.editing.partial import partial_name, unfinished_edit
    from recast.editing.queued import made_at

    store = store_in(data_dir)
    job = store.job(number)
    if job.state == "done":
        raise RequestError(f"job {number} is done, and the whole result is {job.document['target']}")
    output = output and output.absolute()
    os.chdir(store.path.parent)  # jobs of a server name its files from there
    whole = Path(job.document["target"]).absolute()
    with unfinished_edit(made_at(job), whole) as unfinished:
        write_out(unfinished, output or partial_name(whole), overwrite=overwrite, as_json=as_json, quiet=quiet)


@queue.command("rm")
def rm(number: Number, *, data_dir: DataDir = None) -> None:
    """Forget a job that is not running; its result stays."""
    from recast.editing.queued import EditHandler
    from recast.jobs.stored import JobState

    job = store_in(data_dir).remove(number)
    if job.state is not JobState.DONE:
        EditHandler().forget(job)
    _tell(job, "removed")


def worker(
    *,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="Stop when no job waits or runs.")] = False,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="NAME", help="Do the jobs of this batch only.")
    ] = None,
    ray: ThroughRay = False,
    while_stdin: Annotated[bool, typer.Option("--while-stdin", help="Stop when the standard input ends.")] = False,
    most_attempts: MostAttempts = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
) -> None:
    """Do the edits of the queue, one after the other; start several for several at a time.

    Killed at any moment it loses nothing: another worker, or the next one, does the job again and to the same bytes.
    """
    idle = threading.Event()
    idle.set()
    if while_stdin:  # before what imports torch, so that a worker ends at once whose server was killed
        threading.Thread(target=_stop_with_stdin, args=(idle,), daemon=True).start()
    from recast.jobs.worker import Worker

    on_end = (lambda _job: None) if quiet else tell_ended
    store = store_in(data_dir, most_attempts)
    os.chdir(store.path.parent)  # jobs of a server name its files from there
    with shown(quiet=quiet) as watch, _sigterm_as_sigint():
        idle.clear()
        Worker(store, handler_of(ray=ray), batch, on_end=on_end).run(watch, until_empty=until_empty)


def handler_of(*, ray: bool) -> "Handler":
    """What does the jobs: this process, or machines of a Ray cluster. Raises ExtraError where Ray is not installed."""
    from recast.editing.queued import EditHandler
    from recast.evaluation.room import within

    if not ray:
        return EditHandler(within)
    from recast.editing.remote import connected

    return connected(within)


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """What stops services lets the job go, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop_with_stdin(idle: threading.Event) -> None:
    """Ends the process with its standard input: at once where it has taken no job yet, else as SIGTERM does."""
    sys.stdin.buffer.read()
    if idle.is_set():
        os._exit(0)
    os.kill(os.getpid(), signal.SIGTERM)


def tell_ended(job: "StoredJob") -> None:
    """Says in a line how a job has ended."""
    number, state, _, took, about = _row(job)
    print(visible(f"job {number}: {state} in {took}, {about}"), file=sys.stderr, flush=True)


def _tell(job: "StoredJob", what: str) -> None:
    print(visible(f"job {job.id}: {what}"), file=sys.stderr)


def _row(job: "StoredJob") -> tuple[str, ...]:
    progress = f"{job.stage} {job.done}/{job.total}" if job.stage and job.state == "running" else "-"
    began, ended = job.started, job.finished or time.time()
    took = "-" if began is None or job.state == "queued" else f"{ended - began:.0f} s"
    return str(job.id), job.state, progress, took, job.error or str(job.document["target"])
