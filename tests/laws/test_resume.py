"""Exact resume: however a run is stopped, it ends with the weights of one that was not, bit for bit."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import Ended, together
from torch import Tensor
from training_run import Small, flat, recipe, squares

from recast.engine.loop import BatchShard, LossOutput, fit
from recast.errors import Cancelled, Preempted, RecastError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """What 100 steps without a stop come to."""
    return flat(trained(tmp_path_factory.mktemp("whole")))


def trained(run: Path, loss=squares, keep_every: int = 50) -> Small:
    torch.manual_seed(1)  # dropout draws from there
    return fit(Small(), loss, recipe(100, keep_every), run)


def program(name: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(Path(__file__).with_name(name)), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=580)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Ended]]:
    """Runs as programs of their own: two that are killed at a step, and two that ask themselves to stop."""
    root, alike = tmp_path_factory.mktemp("ended"), ("--steps", "100", "--keep-every", "50", "--dropout", "0.2")
    asked = {
        "killed at 50": (*alike, "--kill-at", "50"),
        "killed at 73": (*alike, "--kill-at", "73"),
        "asked once": ("--stop-after", "7"),
        "asked twice": ("--stop-after", "7", "--insist"),
    }
    program = Path(__file__).with_name("training_run.py")
    found = together(*[(program, root / name, *more) for name, more in asked.items()])
    return {name: (root / name, each) for name, each in zip(asked, found, strict=True)}.__getitem__


@pytest.mark.parametrize("at", [50, 73])
def test_two_halves_with_a_kill_between_equal_the_whole(ended, whole: Tensor, at: int):
    run, how = ended(f"killed at {at}")
    assert how.codes == [-signal.SIGKILL]
    assert (run / "LATEST").read_text() == "step-000050\n"
    assert torch.equal(flat(trained(run)), whole)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [12, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_at_random_lose_no_checkpoint_and_change_no_weight(tmp_path: Path, kills: int):
    done = program("killed_run.py", str(tmp_path), "--kills", str(kills))
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["kills"] == kills
    assert counts["lost"] == 0
    assert counts["equal"] == counts["runs"] >= 1
    assert counts["inside a save"] >= kills / 5


@pytest.mark.parametrize(("number", "kind", "code"), [(signal.SIGTERM, Preempted, 75), (signal.SIGINT, Cancelled, 130)])
def test_a_run_that_is_asked_to_stop_finishes_its_step_and_saves(
    tmp_path: Path, whole: Tensor, number: signal.Signals, kind: type[RecastError], code: int
):
    def loss(network: Small, share: BatchShard) -> LossOutput:
        if share.step == 30:
            os.kill(os.getpid(), number)
        return squares(network, share)

    before = signal.getsignal(number)
    with pytest.raises(kind, match="stopped after step 31 of 100; the same command goes on from there") as stopped:
        trained(tmp_path, loss)
    assert stopped.value.exit_code == code
    assert signal.getsignal(number) is before
    assert (tmp_path / "LATEST").read_text() == "step-000031\n"
    assert torch.equal(flat(trained(tmp_path)), whole)


def test_the_exit_code_says_that_it_should_be_started_again(ended):
    _, once = ended("asked once")
    assert once.codes == [75]
    assert "stopped after step 7 of 20" in once.stderr
    run, twice = ended("asked twice")
    assert twice.codes == [-signal.SIGTERM]
    assert (run / "LATEST").read_text() == "step-000005\n"


def as_formerly(checkpoint: Path) -> None:
    """Names the file of RNG states as checkpoints had it before it was called rng_state."""
    manifest = checkpoint / "MANIFEST.json"
    (checkpoint / "rng_state-00000.json").rename(checkpoint / "chance-00000.json")
    listed = json.loads(manifest.read_text().replace("rng_state-", "chance-"))
    manifest.write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize("former", [False, True])
def test_random_generators_go_on_where_they_were(tmp_path: Path, former: bool):
    drawn: dict[int, tuple[float, float]] = {}

    def drawing(until: int):
        def loss(network: Small, share: BatchShard) -> LossOutput:
            if share.step == until:
                raise KeyboardInterrupt
            drawn[share.step] = (np.random.normal(), torch.rand(()).item())
            return squares(network, share)

        return loss

    np.random.seed(1)  # Python's own is tried under kills: here the checker of types draws from it
    first = trained(tmp_path / "whole", drawing(100))
    expected = dict(drawn)
    np.random.seed(1)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "stopped", drawing(70))
    if former:
        as_formerly(tmp_path / "stopped/step-000050")
    np.random.seed(99)
    second = trained(tmp_path / "stopped", drawing(100))
    assert drawn == expected
    assert torch.equal(flat(first), flat(second))


def test_a_finished_run_gives_its_weights_back_without_a_step(tmp_path: Path, whole: Tensor):
    trained(tmp_path)

    def never(network: Small, share: BatchShard) -> LossOutput:  # noqa: ARG001
        raise AssertionError(share)

    assert torch.equal(flat(trained(tmp_path, never)), whole)
