"""An edit of a long clip that is killed, again and again, ends with the bytes of one that was not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_kills_at_any_moment_lose_nothing(tmp_path, kills):
    command = [sys.executable, str(Path(__file__).with_name("killed_edit.py")), str(tmp_path), "--kills", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1700)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == kills
    assert found["same"] == found["finished"] > 0
    assert found["segments done twice"] == 0
