"""A suite that is killed again and again, by a signal that no program can catch, ends with the same table and page."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny_folder
from study_films import film

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SUITE = """
prompts = "list.csv"
models = ["{model}"]
methods = ["gen1", {{ method = "gen1", temporal_guidance = 2 }}]
[settings]
steps = 1
max_frames = 3
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    model = tiny_folder.written(folder / "model")
    for number, name in enumerate("ab"):
        film(folder / f"{name}.mp4", number)
    (folder / "list.csv").write_text("clip,edit_prompt\na.mp4,snow\nb.mp4,a beach\n")
    (folder / "suite.toml").write_text(SUITE.format(model=model))
    return folder


def started(suite: Path, target: Path, jobs: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "recast", "evaluate", "--suite", str(suite / "suite.toml"), "-o", str(target)]
    return subprocess.Popen([*command, "--jobs", str(jobs), "-q"], stdout=subprocess.DEVNULL)


def lines(target: Path) -> int:
    results = target / "results.jsonl"
    return results.read_text().count("\n") if results.exists() else 0


def test_a_suite_that_was_killed_after_each_edit_gives_the_tables_of_one_that_was_not(suite, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    # Two processes on one side, one on the other: their number is no part of a result either.
    assert started(suite, whole, 2).wait() == 0
    for done in range(1, 4):
        with started(suite, killed, 1) as process:
            while lines(killed) < done:
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        assert lines(killed) < 4, "all edits were made before it could be killed"
    assert not (killed / "results.parquet").exists()
    assert started(suite, killed, 1).wait() == 0
    for name in ("results.parquet", "report.html"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    edits = sorted(path.name for path in (whole / "edits").iterdir())
    assert len(edits) == 4
    for name in edits:
        assert (killed / "edits" / name).read_bytes() == (whole / "edits" / name).read_bytes(), name
