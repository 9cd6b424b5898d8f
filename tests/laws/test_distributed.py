"""Many processes: what two gloo processes train is what one trains, and either reads what the other wrote."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forked import Ended, together
from safetensors.torch import load_file
from training_run import Small, Stopped, flat, frames, recipe, spacetime, squares, stopped_at, written

from recast.engine.distributed import joined
from recast.engine.launch import FRESH_STORE
from recast.engine.loop import fit
from recast.errors import RequestError

pytestmark = pytest.mark.dist
PROGRAM = Path(__file__).with_name("training_run.py")


def launched(run: Path, *more: str, restarts: int = 0) -> subprocess.CompletedProcess:
    """training_run.py on two processes."""
    code = "import sys; from recast.engine.launch import launch; "
    code += f"launch(sys.argv[1:], 2, restarts={restarts})"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(PROGRAM), str(run), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=100)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    """What one process comes to in 20 steps."""
    return flat(fit(Small(dropout=0), squares, recipe(), tmp_path_factory.mktemp("alone")))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Ended]]:
    """Runs of two processes: by each engine, one that is stopped, and one that goes on where one process was."""
    root = tmp_path_factory.mktemp("two")
    with pytest.raises(Stopped):
        fit(Small(dropout=0), stopped_at(12), recipe(), root / "from one")
    asked = {
        "ddp": ("--engine", "ddp", "--strip"),
        "fsdp": ("--engine", "fsdp", "--strip"),
        "stopped": ("--engine", "fsdp", "--stop-after", "7"),
        "from one": ("--engine", "fsdp"),
    }
    found = together(*[(PROGRAM, root / name, *more) for name, more in asked.items()], processes=2)
    return {name: (root / name, each) for name, each in zip(asked, found, strict=True)}.__getitem__


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_equal_one(two, alone: torch.Tensor, way: str):
    run, done = two(way)
    assert done.codes == [0, 0], done.stderr
    torch.testing.assert_close(written(run), alone, rtol=0, atol=1e-5)
    names = {path.name for path in (run / "step-000020/averaged").iterdir()}
    assert len(names) == 2 if way == "fsdp" else 1 <= len(names) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_equal_one_for_the_network_of_gen1(tmp_path: Path, way: str):
    expected = fit(spacetime(), frames, recipe(rate=1e-3), tmp_path / "one").state_dict()
    done = launched(tmp_path / "two", "--engine", way, "--spacetime", "--rate", "1e-3")
    assert done.returncode == 0, done.stderr
    trained = load_file(tmp_path / "two/trained.safetensors")
    torch.testing.assert_close(trained, dict(expected), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_processes_in_two_parts_each_equal_one(tmp_path: Path, alone: torch.Tensor, way: str):
    done = launched(tmp_path, "--engine", way, "--accumulate", "2")
    assert done.returncode == 0, done.stderr
    parted = written(tmp_path)
    assert next(iter(Small().state_dict())) == "seen"
    assert (parted[0], alone[0]) == (40, 20)  # the network was called twice as often in each process
    torch.testing.assert_close(parted[1:], alone[1:], rtol=0, atol=1e-5)


def test_one_process_goes_on_where_two_shards_were_stopped_and_two_where_one_was(two, alone: torch.Tensor):
    run, stopped = two("stopped")
    assert stopped.codes == [75, 75]
    assert "stopped after step 7 of 20" in stopped.stderr
    assert (run / "LATEST").read_text() == "step-000007\n"
    from_two = fit(Small(dropout=0, seed=5), squares, recipe(), run)
    torch.testing.assert_close(flat(from_two), alone, rtol=0, atol=1e-5)
    run, done = two("from one")
    assert done.codes == [0, 0], done.stderr
    torch.testing.assert_close(written(run), alone, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_a_process_that_is_killed_once_leaves_no_trace(tmp_path: Path, way: str):
    """torchrun starts all of them again; the weights are those of a run in which nobody died, bit for bit."""
    whole = launched(tmp_path / "whole", "--engine", way)
    assert whole.returncode == 0, whole.stderr
    done = launched(tmp_path / "killed", "--engine", way, "--die-once", "13", restarts=1)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed/died").exists()
    assert torch.equal(written(tmp_path / "whole"), written(tmp_path / "killed"))


def on_two_machines(run: Path, *more: str) -> None:
    """training_run.py by two launchers of one process each, which meet at a port."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        place = f"localhost:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    command += ["--max-restarts", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", place, "--local-addr", "localhost"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", FRESH_STORE: "1"}
    both = [
        subprocess.Popen([*command, str(PROGRAM), str(run), *more], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [machine.communicate(timeout=100)[1] for machine in both]
    assert [machine.returncode for machine in both] == [0, 0], errors


@pytest.mark.slow
def test_two_machines_equal_one_also_where_a_process_of_one_is_killed(tmp_path: Path):
    """As torchrun is started by hand on each; both start again, and the weights are the same, bit for bit."""
    whole = launched(tmp_path / "whole", "--engine", "fsdp")
    assert whole.returncode == 0, whole.stderr
    on_two_machines(tmp_path / "killed", "--engine", "fsdp", "--die-once", "13")
    assert (tmp_path / "killed/died").exists()
    assert torch.equal(written(tmp_path / "whole"), written(tmp_path / "killed"))


@pytest.mark.slow
def test_sigterm_to_the_launcher_reaches_all_and_they_save(tmp_path: Path):
    code = (
        "import sys; from recast.errors import RecastError; from recast.engine.launch import launch\n"
        "try: launch(sys.argv[1:], 2)\n"
        "except RecastError as error: print(error); sys.exit(error.exit_code)"
    )
    command = [sys.executable, "-c", code, str(PROGRAM), str(tmp_path), "--steps", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while not (tmp_path / "LATEST").exists():
            time.sleep(0.1)
        running.terminate()
        errors, _ = running.communicate(timeout=60)
    assert running.returncode == 75
    assert "stopped and saved; the same command goes on from there" in errors
    assert not list(tmp_path.glob("*.part"))


def test_processes_leave_with_their_code_while_gloo_still_holds_tensors(tmp_path: Path):
    """Where the interpreter is taken down instead, this aborts nearly every time."""
    busy = tmp_path / "busy.py"
    busy.write_text(
        "import sys, torch, torch.distributed as dist; from recast.engine.launch import leave\n"
        "dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)\n"
        "for _ in range(400): dist.all_gather([torch.empty(300_000)], torch.ones(300_000), async_op=True)\n"
        "dist.destroy_process_group()\n"
        "print('done'); leave(int(sys.argv[1]))"
    )
    finished, stopped = together((busy, "0"), (busy, "75"))
    assert (finished.codes, finished.stdout) == ([0], "done\n"), finished.stderr
    assert (stopped.codes, stopped.stdout) == ([75], "done\n"), stopped.stderr


def test_restarts_that_could_not_work_are_refused(monkeypatch: pytest.MonkeyPatch):
    for name, value in {"RANK": "0", "TORCHELASTIC_MAX_RESTARTS": "1", "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RequestError, match=f"needs {FRESH_STORE}=1"), joined("ddp", "cpu"):
        pass


def test_an_unknown_engine_is_answered_with_the_known():
    with pytest.raises(RequestError, match="no engine is called 'zero'; known: alone, ddp, fsdp"), joined("zero"):
        pass


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RANK", raising=False)
    with joined("fsdp", "cpu") as engine:
        assert (engine.way, engine.rank, engine.world, engine.first) == ("alone", 0, 1, True)
        assert engine.all_gather("here") == ["here"]
