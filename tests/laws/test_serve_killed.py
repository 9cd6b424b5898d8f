"""Servers and workers that are killed at random: every job that was taken is done once, to the bytes of a quiet run."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from socket import create_server

import pytest

pytest.importorskip("fastapi")

from recast.app.client import Client
from recast.app.config import ServeConfig
from recast.cli.app import run
from recast.editing.queued import EditHandler
from recast.errors import RecastError
from recast.jobs.store import JobStore
from recast.jobs.worker import Worker
from served import serving
from tiny_folder import clip_folder, written

FORK = multiprocessing.get_context("fork")
KILLS, JOBS, SEEDS = 50, 24, 3
LEASE_SECONDS = 2.0
COMMAND_KILLS, COMMAND_JOBS = 10, 4
SETTINGS = {"method": "sdedit", "steps": 2, "size": 64}


def free_port() -> int:
    with closing(create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


def answering(client: Client) -> bool:
    with suppress(RecastError, OSError):
        return client.ask("GET", "/health")["status"] == "ok"
    return False


def serve_on(config: ServeConfig) -> None:
    with serving(config):
        signal.pause()


def work_on(config: ServeConfig) -> None:
    os.chdir(config.data)  # as workers of a server do
    store = JobStore(config.data / "jobs.sqlite", LEASE_SECONDS, config.most_attempts)
    Worker(store, EditHandler(), idle_seconds=0.05).run(lambda *_: None)


class Service:
    """A server and a worker as processes of their own. Forked: what they import is there, so kills hit their work."""

    def __init__(self, data: Path) -> None:
        self.config = ServeConfig(data, port=free_port(), most_attempts=10**6)
        self.client = Client(f"http://127.0.0.1:{self.config.port}")
        self.processes = {}
        self.start("both")

    def start(self, which: str) -> None:
        """Starts it again, and waits until the server answers."""
        for name, target in {"server": serve_on, "worker": work_on}.items():
            if which in (name, "both"):
                self.processes[name] = FORK.Process(target=target, args=(self.config,), daemon=True)
                self.processes[name].start()
        while not answering(self.client):
            time.sleep(0.02)

    def kill(self, which: str) -> None:
        """Kills the server, the worker, or both at once."""
        dying = [process for name, process in self.processes.items() if which in (name, "both")]
        for process in dying:
            process.kill()
        for process in dying:
            process.join()

    def results(self) -> dict[Path, tuple[int, int]]:
        """Files that are in place, and what would change if one were made again."""
        found = {path: path.stat() for path in (self.config.data / "results").glob("*/edited.mp4")}
        return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}


@pytest.fixture
def clip(tmp_path):
    source = clip_folder(tmp_path / "clip")
    target = tmp_path / "a.mp4"
    assert run(["structure", str(source), "-m", str(written(tmp_path / "model")), "-o", str(target)]) == 0
    return target


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_killed_servers_and_workers_no_job_is_lost_and_none_done_twice(tmp_path, clip):
    service, rng = Service(tmp_path / "data"), random.Random(0)
    sent = service.client.send(clip)
    wishes = [{"prompt": ["snow"], "settings": SETTINGS | {"seed": seed}} for seed in range(SEEDS)]
    submitted = lambda number: service.client.submit_sent(sent, **wishes[number % SEEDS])  # noqa: E731
    jobs, kills, early = [submitted(number) for number in range(JOBS)], Counter(), {}
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.1, 2.5))
        which = rng.choice(["worker", "server", "both"])
        kills[which] += 1
        service.kill(which)
        early = service.results() | early
        service.start(which)
        jobs.append(submitted(len(jobs)))  # so that there is always work
    quiet = [service.client.submit_sent(sent, **wish) for wish in wishes]
    states = Counter(job.wait()["state"] for job in [*jobs, *quiet])
    files = [_hash(job.download(tmp_path / f"{job.id}.mp4")) for job in [*jobs, *quiet]]
    results, tries = service.results(), [job.attempts for job in JobStore(service.config.data / "jobs.sqlite").jobs()]
    service.kill("both")
    print(
        f"{KILLS} kills: {dict(kills)}; {dict(states)}; {len(early)} done by the last kill; {max(tries)} tries at most"
    )
    assert files == [files[len(jobs) + number % SEEDS] for number in range(len(jobs))] + files[len(jobs) :]
    assert len(set(files)) == SEEDS
    assert len(results) == len(files) == len(list((tmp_path / "data" / "results").glob("*/*")))
    assert {path: results[path] for path in early} == early, "a result that was in place was made again"


class Server:
    """`recast serve` as a process of its own, with its worker."""

    def __init__(self, data: Path) -> None:
        self.port, self.data = free_port(), data
        self.command = [sys.executable, "-m", "recast", "serve", "--port", str(self.port), "--data-dir", str(data)]
        self.command += ["--most-attempts", "1000"]
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        while not answering(self.client):
            time.sleep(0.1)

    def kill(self, which: str) -> None:
        """Kills the server, which then has to be started again, its worker, or both at once."""
        children = self._children() if which in ("worker", "both") else set()
        if which in ("server", "both"):
            self.process.kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        if which in ("server", "both"):
            self.process.wait()
            self.start()

    def _children(self) -> set[int]:
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(pid) for path in threads for pid in path.read_text().split()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_that_is_killed_loses_no_job(tmp_path, clip):
    server, rng = Server(tmp_path / "data"), random.Random(0)
    server.start()
    sent = server.client.send(clip)
    wishes = [{"prompt": ["snow"], "settings": SETTINGS | {"seed": number % 2}} for number in range(COMMAND_JOBS)]
    jobs = [server.client.submit_sent(sent, **wish) for wish in wishes]
    for number in range(COMMAND_KILLS):
        time.sleep(rng.uniform(0.5, 4))
        server.kill(("worker", "server", "both")[number % 3])
    try:
        assert [job.wait()["state"] for job in jobs] == ["done"] * COMMAND_JOBS
        files = [_hash(job.download(tmp_path / f"{job.id}.mp4")) for job in jobs]
    finally:
        server.process.terminate()
        server.process.wait()
    assert len(set(files)) == 2, "jobs of one seed have the same bytes"
    assert len(list((tmp_path / "data" / "results").glob("*/*"))) == COMMAND_JOBS


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
