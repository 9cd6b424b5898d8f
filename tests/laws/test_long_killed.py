"""An edit of a long clip that is killed, again and again, ends with the bytes of one that was not."""

import random
import signal
import subprocess
import sys
import time

import pytest

from tiny_folder import clip_folder, written


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_at_any_moment_lose_nothing(tmp_path):
    model, source = written(tmp_path / "model"), clip_folder(tmp_path / "clip", frames=80)
    flags = ["-p", "a red ball", "-m", str(model), "--segment", "8", "--steps", "8", "-q"]
    command = [sys.executable, "-m", "recast", "edit", str(source), *flags, "-o"]
    whole, target = tmp_path / "whole" / "out.mp4", tmp_path / "killed" / "out.mp4"
    whole.parent.mkdir()
    target.parent.mkdir()
    began = time.monotonic()
    subprocess.run([*command, str(whole)], check=True)
    took, rng, kills = time.monotonic() - began, random.Random(0), 0
    for _ in range(40):
        with subprocess.Popen([*command, str(target)]) as process:
            try:
                process.wait(timeout=took * rng.uniform(0.5, 1.1))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
        if process.returncode == 0:
            break
        assert not target.exists()
    assert kills
    assert target.read_bytes() == whole.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["out.mp4"]
