"""Processes end with the work that they were started for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recast.jobs.processes import processes

SLOW = Path(__file__).with_name("slow_items.py")


def awaited(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_none_is_left_where_the_parent_is_stopped_in_the_middle_of_calls(tmp_path, number):
    parent = subprocess.Popen([sys.executable, SLOW, tmp_path], stderr=subprocess.DEVNULL)
    try:
        assert awaited(lambda: len(list(tmp_path.iterdir())) == 2)
        children = [int(path.name) for path in tmp_path.iterdir()]
        parent.send_signal(number)
        assert parent.wait(60) != 0
        assert awaited(lambda: not any(map(alive, children)))
    finally:
        parent.kill()
        parent.wait()


def test_calls_are_answered_and_an_error_goes_through():
    with processes(2) as pool:
        assert list(pool.map(abs, [-1, 2])) == [1, 2]
    with pytest.raises(ValueError, match="invalid literal"), processes(1) as pool:
        pool.submit(int, "none").result()
