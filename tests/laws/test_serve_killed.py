"""A server whose processes are killed at random: every job that it took is done in the end, to the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from socket import create_server

import pytest

pytest.importorskip("fastapi")

from recast.app.client import Client, ClientJob
from recast.cli.app import run
from recast.errors import RecastError
from tiny_folder import clip_folder, written

KILLS, JOBS = 10, 4
SETTINGS = {"method": "sdedit", "steps": 2, "size": 64}


def free_port() -> int:
    with closing(create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


def answering(client: Client) -> bool:
    with suppress(RecastError):
        return client.ask("GET", "/health")["status"] == "ok"
    return False


class Server:
    """`recast serve` as a process of its own, with its worker."""

    def __init__(self, data: Path) -> None:
        self.port = free_port()
        self.command = [sys.executable, "-m", "recast", "serve", "--port", str(self.port), "--data-dir", str(data)]
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        while not answering(self.client):
            time.sleep(0.1)

    def kill(self, *, worker: bool) -> None:
        """Kills the server, which then has to be started again, or its worker alone."""
        if worker:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
            for child in {int(pid) for path in (children, *threads) for pid in path.read_text().split()}:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            return
        self.process.kill()
        self.process.wait()
        self.start()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_servers_and_workers_lose_no_job(tmp_path):
    clip, rng = tmp_path / "a.mp4", random.Random(0)
    source = clip_folder(tmp_path / "clip")
    assert run(["structure", str(source), "-m", str(written(tmp_path / "model")), "-o", str(clip)]) == 0
    server = Server(tmp_path / "data")
    server.start()
    sent = server.client.send(clip)
    wishes = [{"prompt": ["snow"], "settings": SETTINGS | {"seed": number % 2}} for number in range(JOBS)]
    jobs = [server.client.submit_sent(sent, **wish) for wish in wishes]
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.5, 4))
        server.kill(worker=rng.random() < 0.5)
    try:
        files = []
        for job in jobs:
            ClientJob(server.client, job.id).wait()
            files.append(job.download(tmp_path / f"{job.id}.mp4").read_bytes())
    finally:
        server.process.terminate()
        server.process.wait()
    assert len(set(files)) == 2, "jobs of one seed have the same bytes"
    assert len(list((tmp_path / "data" / "results").glob("*/*"))) == JOBS
