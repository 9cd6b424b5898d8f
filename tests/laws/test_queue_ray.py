"""Edits of a queue through Ray: the bytes of an edit here, errors of their own, and jobs that stop."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from recast.cli.app import run
from tiny_folder import clip_folder, written

pytestmark = [pytest.mark.dist, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip_folder(tmp_path / "clip")
    written(tmp_path / "model")
    Image.new("L", (8, 8)).save(tmp_path / "empty.png")
    return tmp_path


def batch(*lines):
    with open("jobs.jsonl", "w", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"source": "clip", "prompt": "snow", "model": "model"} | line) + "\n" for line in lines
        )
    command = [sys.executable, "-m", "recast", "batch", "jobs.jsonl", "--ray", "--data-dir", "data"]
    own = os.environ | {"RAY_worker_niceness": "0"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=own)


def test_an_edit_has_the_bytes_of_one_made_here_and_an_error_is_the_edits_own(here):
    done = batch({"target": "far.mp4", "steps": 2}, {"target": "no.mp4", "method": "instruct-pix2pix"})
    printed = done.communicate()[1]
    assert (
        run(
            [
                "edit",
                str(here / "clip"),
                "-p",
                "snow",
                "-m",
                str(here / "model"),
                "--steps",
                "2",
                "-o",
                "near.mp4",
                "-q",
            ]
        )
        == 0
    )
    assert (here / "far.mp4").exists(), printed
    assert (here / "far.mp4").read_bytes() == (here / "near.mp4").read_bytes()
    assert "1 of 2 jobs are not done" in printed
    assert "reads no picture" in printed
    assert "Traceback" not in printed
    assert {path.name for path in here.iterdir() if path.name.startswith(".")} == set()


def test_ctrl_c_gives_the_job_back_and_leaves_nothing_beside_the_target(here):
    running = batch({"target": "far.mp4", "steps": 900})
    hidden = []
    while running.poll() is None and not hidden:
        hidden = list(here.glob(".far.mp4-job-*"))
        time.sleep(0.1)
    assert hidden, running.communicate()[1]
    running.send_signal(signal.SIGINT)
    printed = running.communicate(timeout=120)[1]
    assert running.returncode == 130, printed
    assert "Traceback" not in printed
    assert not (here / "far.mp4").exists()
