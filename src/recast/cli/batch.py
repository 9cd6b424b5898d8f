"""`recast batch`: many edits by one command, which goes on where it was when it is given again."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import FLAGS, Overwrite, Quiet, Settings, flagged, request_from, usual_target
from recast.cli.progress import shown
from recast.cli.queue import DataDir, ThroughRay, handler_of, store_in, tell_ended
from recast.cli.table import visible
from recast.editing.request import ALSO_CALLED, Request
from recast.errors import Cancelled, MediaError, RecastError, RequestError

if TYPE_CHECKING:
    from recast.jobs.store import JobStore
    from recast.progress import ProgressCallback

LOOK_SECONDS = 0.5
CLIPS = frozenset(
    [".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm"]
)
"""Endings of the files in a folder that are edited."""


@flagged(*FLAGS)
def batch(  # noqa: PLR0913 -- each is a flag
    jobs: Annotated[
        Path, typer.Argument(metavar="JOBS.jsonl|FOLDER", help="An edit in JSON a line, or a folder of clips.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where results go that a line names no target for."),
    ] = None,
    *,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, max=256, help="Processes.")] = 1,
    ray: ThroughRay = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check all jobs and say what would be done.")] = False,
    settings: Settings = None,
    overwrite: Overwrite = False,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Edit many clips: every file of a folder, or a line of JSON each, such as {"source": "a.mp4", "prompt": "snow"}.

    The flags are those of `recast edit` and hold for all jobs; a line's own settings win. All jobs are checked before
    the first one runs. The same command goes on where a stopped one was, and tries failed jobs again.
    """
    common = request_from(Path(), None, options, settings, overwrite=overwrite)
    requests = list(_requests(jobs, common, output))
    added = _added(requests, store_in(data_dir), add=not dry_run)
    if dry_run:
        print(visible(f"{len(added.numbers) or len(requests)} jobs are in order, {added.finished} of them done"))
        return
    with shown(quiet=True) as watch:
        _work(added, workers, data_dir, watch, ray=ray, quiet=quiet)
    _tell_all(added, quiet=quiet)


@dataclass(frozen=True)
class JobBatch:
    """Jobs that were added together. finished: how many an earlier run had done."""

    store: "JobStore"
    name: str
    numbers: tuple[int, ...]
    finished: int


def _requests(jobs: Path, common: Request, output: Path | None) -> Iterator[Request]:
    """Raises RequestError, with the line's number, for a job that cannot be read; MediaError for no jobs at all."""
    targets = Counter[Path]()
    for where, own in _lines(jobs):
        try:
            named = {ALSO_CALLED.get(name, name): value for name, value in own.items()}
            request = common.updated(**named)
            request = request if request.target else request.updated(target=_target(request, output))
        except RecastError as error:
            raise RequestError(f"{where}: {error}") from None
        targets[Path(request.target or "").absolute()] += 1
        yield request
    if not targets:
        raise MediaError(f"{jobs} holds no jobs: give JSON lines, or a folder of video files")
    twice, count = targets.most_common(1)[0]
    if count > 1:
        raise RequestError(f"{count} jobs would write {twice}; give each a target of its own")


def _lines(jobs: Path) -> Iterator[tuple[str, dict[str, object]]]:
    if jobs.is_dir():
        for path in sorted(path for path in jobs.glob("[!.]*") if path.suffix.lower() in CLIPS):
            yield str(path), {"source": path}
        return
    try:
        text = jobs.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(f"{jobs} cannot be read as a list of jobs ({error})") from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            own = json.loads(line)
        except ValueError as error:
            raise RequestError(f"{jobs}, line {number}: {error}; write one JSON object a line") from None
        if not isinstance(own, dict):
            raise RequestError(f'{jobs}, line {number}: write a JSON object, such as {{"source": "a.mp4"}}')
        yield f"{jobs}, line {number}", own


def _target(request: Request, output: Path | None) -> Path:
    if output is None:
        raise RequestError("it names no target; give one, or a folder for all results with -o DIR")
    if request.source is None or request.source == Path():
        raise RequestError("it names no source")
    return output / usual_target(request.source)


def _added(requests: list[Request], store: "JobStore", *, add: bool) -> JobBatch:
    """Checks all jobs that are not done yet, then adds them."""
    from recast.editing.queued import check_queued, document_of
    from recast.jobs.stored import JobState

    documents = [document_of(request) for request in requests]
    name = sha256(json.dumps(documents).encode()).hexdigest()[:16]
    held = {json.dumps(job.document): job for job in store.jobs(batch=name)}
    finished = 0
    for request, document in zip(requests, documents, strict=True):
        job = held.get(json.dumps(document))
        if job is not None and job.state is JobState.DONE and Path(document["target"]).exists():
            finished += 1
            continue
        if job is None or not job.made:
            check_queued(request)
        if not add or job is None:
            continue
        if job.state is JobState.DONE:  # its result was taken away since
            store.remove(job.id)
        elif job.state in (JobState.FAILED, JobState.CANCELLED):
            store.retry(job.id)
    return JobBatch(store, name, tuple(store.add(documents, batch=name)) if add else (), finished)


def _work(
    added: JobBatch, workers: int, data_dir: Path | None, watch: "ProgressCallback", *, ray: bool, quiet: bool
) -> None:
    from recast.jobs.worker import Worker

    on_end = (lambda _job: None) if quiet else tell_ended
    if workers == 1:
        Worker(added.store, handler_of(ray=ray), added.name, on_end=on_end).run(watch, until_empty=True)
        return
    where = [] if data_dir is None else ["--data-dir", str(data_dir)]
    command = [
        sys.executable,
        "-m",
        "recast",
        "worker",
        "--batch",
        added.name,
        "--until-empty",
        *where,
        *["--ray"] * ray,
    ]
    processes = [subprocess.Popen([*command, "-q"] if quiet else command) for _ in range(workers)]
    try:
        while any(process.poll() is None for process in processes):
            watch("wait", 0, 1)
            time.sleep(LOOK_SECONDS)
    except Cancelled:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.wait()


def _tell_all(added: JobBatch, *, quiet: bool) -> None:
    """Raises RecastError where a job has failed."""
    jobs = [added.store.job(number) for number in added.numbers]
    states = Counter(str(job.state) for job in jobs)
    if not quiet:
        before = f", {added.finished} of them before" if added.finished else ""
        print(f"{states['done']} of {len(jobs)} done{before}", file=sys.stderr)
    failed = [job for job in jobs if job.state != "done"]
    if failed:
        first = failed[0]
        what = f"job {first.id} ({first.document['target']}): {first.error or first.state}"
        raise RecastError(f"{len(failed)} of {len(jobs)} jobs are not done; the first is {what}")
