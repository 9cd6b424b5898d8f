"""Checkpoints: whole or not at all, whatever the disk does; damaged ones are left out, and another run's refused."""

import errno
import json
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from training_run import Small, Stopped, flat, recipe, squares, stopped_at

from recast.engine import manifest
from recast.engine.loop import BatchShard, LossOutput, fit
from recast.errors import RecastError, RecastWarning, RequestError
from recast.files import LOCK


def trained(run: Path, **other: int) -> Small:
    torch.manual_seed(1)
    return fit(Small(), squares, recipe(**other), run)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    """A run of 20 steps, and its weights."""
    run = tmp_path_factory.mktemp("finished")
    return run, flat(trained(run))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_last_three_are_kept_and_nothing_half_written(finished: tuple[Path, Tensor]):
    run, _ = finished
    kept = ["step-000010", "step-000015", "step-000020"]
    assert sorted(path.name for path in run.iterdir()) == [LOCK, "LATEST", *kept]
    assert (run / "LATEST").read_text() == "step-000020\n"


def test_a_checkpoint_is_json_and_safetensors_that_others_read(finished: tuple[Path, Tensor]):
    run, weights = finished
    folder = run / "step-000020"
    assert {Path(name).suffix for name in files(folder)} == {".json", ".safetensors"}
    (averaged,) = (folder / "averaged").iterdir()
    (own,) = (folder / "weights").iterdir()
    network = Small()
    network.load_state_dict(load_file(own) | load_file(averaged))
    assert torch.equal(flat(network), weights)
    state = json.loads((folder / "state.json").read_text())
    assert (state["step"], state["skipped"], state["processes"], state["torch"]) == (20, 0, 1, torch.__version__)
    listed = json.loads((folder / manifest.MANIFEST).read_text())
    assert [*listed, manifest.MANIFEST] == sorted(files(folder), key=lambda name: (name == manifest.MANIFEST, name))


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def joined_by_another(path: Path) -> None:
    shutil.copy(path, path.with_name("other-" + path.name))


@pytest.mark.parametrize("damage", [flipped, truncated, Path.unlink, joined_by_another])
def test_damage_to_any_file_is_seen_and_the_one_before_is_used(
    tmp_path: Path, finished: tuple[Path, Tensor], damage: Callable[[Path], None]
):
    run, weights = finished
    for number, name in enumerate(files(run / "step-000020")):
        copy = shutil.copytree(run, tmp_path / str(number))
        damage(copy / "step-000020" / name)
        with pytest.warns(RecastWarning, match=r"step-000020 is damaged \(.+\) and is left out"):
            assert torch.equal(flat(trained(copy)), weights), name
        assert manifest.fault(copy / "step-000020") is None


def test_where_none_is_whole_the_run_does_not_begin_anew_in_silence(tmp_path: Path, finished: tuple[Path, Tensor]):
    copy = shutil.copytree(finished[0], tmp_path / "copy")
    for name in ("step-000010", "step-000015", "step-000020"):
        (copy / name / "state.json").unlink()
    with pytest.raises(RecastError, match="none of the 3 checkpoints in"), pytest.warns(RecastWarning):
        trained(copy)


def test_a_kill_between_the_rename_and_the_pointer_loses_nothing(tmp_path: Path, finished: tuple[Path, Tensor]):
    copy = shutil.copytree(finished[0], tmp_path / "copy")
    (copy / "LATEST").write_text("step-000015\n")

    def never(network: Small, share: BatchShard) -> LossOutput:  # noqa: ARG001
        raise AssertionError(share)

    assert torch.equal(flat(fit(Small(), never, recipe(), copy)), finished[1])


def test_another_configuration_is_refused(finished: tuple[Path, Tensor]):
    run, _ = finished
    message = r"step-000020 is of another run \(rate 0.01 there, 0.02 asked for\)"
    with pytest.raises(RequestError, match=message):
        fit(Small(), squares, replace(recipe(), rate=0.02), run)
    with pytest.raises(RequestError, match=r"data no value there, 'worlds' asked for"):
        fit(Small(), squares, recipe(), run, configuration={"data": "worlds"})
    other = Small()
    other.last = torch.nn.Linear(16, 3)
    with pytest.raises(RequestError, match="weights '"):
        fit(other, squares, recipe(), run)


def test_of_groups_of_settings_those_that_differ_are_named_with_both_values(tmp_path: Path):
    """As where an earlier version began the run: it had settings that are gone, and lacked some that there are now."""
    kept = {"tuning": {"rank": 4, "steps": 3, "gone": 1}, "shown": 64 * "a"}
    asked = {"tuning": {"rank": 2, "steps": 3, "new": 0.5, "unsaid": None}, "shown": 64 * "b"}
    fit(Small(), squares, recipe(), tmp_path, configuration=kept)
    with pytest.raises(RequestError) as refused:
        fit(Small(), squares, recipe(), tmp_path, configuration=asked)
    parts = str(refused.value).partition("(")[2].partition(")")[0].split(", ")
    differences = ["tuning.gone 1 there", "no value asked for", "tuning.new no value there", "0.5 asked for"]
    assert parts[2:] == [*differences, "tuning.rank 4 there", "2 asked for"]
    assert parts[:2] == [f"shown '{39 * 'a'}... there", f"'{39 * 'b'}... asked for"]


def test_how_often_it_is_kept_and_how_a_batch_is_divided_are_no_other_configuration(finished: tuple[Path, Tensor]):
    run, weights = finished
    assert torch.equal(flat(fit(Small(), squares, recipe(keep_every=7, accumulate=2), run)), weights)


def test_weights_that_are_not_finite_are_never_kept(tmp_path: Path):
    def poisoned(network: Small, share: BatchShard) -> LossOutput:
        if share.step == 9:  # at which this branch is not used, so that the loss is still finite
            network.seldom.weight.data[0, 0] = float("nan")
        return squares(network, share)

    with pytest.raises(RecastError, match="NaN or Inf after step 10 and are not kept"):
        fit(Small(), poisoned, recipe(), tmp_path)
    assert (tmp_path / "LATEST").read_text() == "step-000005\n"
    assert not list(tmp_path.glob("*.part"))


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, at: int, number: int) -> Iterator[list[str]]:
    """The `at`-th call that brings the second checkpoint to the disk fails; tells the calls."""
    calls: list[str] = []

    def counted(name: str, inner: Callable) -> Callable:
        def call(*arguments: object, **options: object) -> object:
            where = os.readlink(f"/proc/self/fd/{arguments[0]}") if name == "fsync" else str(arguments[0])
            if "step-000010" in where and "step-000015" not in where:
                calls.append(f"{name} {where}")
                if len(calls) == at:
                    raise OSError(number, os.strerror(number), where)
            return inner(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for owner, name in ((os, "fsync"), (os, "rename"), (os, "mkdir"), (os, "open"), (Path, "open")):
            patch.setattr(owner, name, counted(name, getattr(owner, name)))
        yield calls


def stopped(run: Path, at: int, **other: int) -> Path:
    """A run that ends at a step without a word, as if killed."""
    torch.manual_seed(1)
    with pytest.raises(Stopped):
        fit(Small(), stopped_at(at), recipe(**other), run)
    return run


def test_a_disk_that_fails_at_any_call_of_a_save_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs of ten steps whose first checkpoint is there, and whose second, at their end, fails."""
    number, first = random.Random(0), stopped(tmp_path / "first", 5, steps=10)

    def copied(name: str) -> Path:
        return shutil.copytree(first, tmp_path / name)

    with failing(monkeypatch, 0, errno.EIO) as calls:
        whole = flat(trained(copied("0"), steps=10))
    assert len(calls) > 20
    assert torch.equal(flat(trained(tmp_path / "anew", steps=10)), whole)
    for at in range(1, len(calls) + 1):
        run, code = copied(str(at)), number.choice([errno.EIO, errno.ENOSPC, errno.EACCES])
        message = rf"step-000010.part could not be written \(.*{os.strerror(code)}.*\), with \d+\.\d\d GiB free there"
        with failing(monkeypatch, at, code), pytest.raises(RecastError, match=message):
            trained(run, steps=10)
        assert manifest.fault(run / "step-000005") is None, calls[at - 1]
        assert torch.equal(flat(trained(run, steps=10)), whole), calls[at - 1]


@contextmanager
def smaller_files(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_short_writes_leave_the_one_before(tmp_path: Path, finished: tuple[Path, Tensor]):
    stopped(tmp_path, 8)
    with smaller_files(2000), pytest.raises(RecastError, match=r"step-000010.part could not be written .*too large"):
        trained(tmp_path)
    assert (tmp_path / "LATEST").read_text() == "step-000005\n"
    assert torch.equal(flat(trained(tmp_path)), finished[1])


def test_a_full_disk_leaves_the_one_before(tmp_path: Path, finished: tuple[Path, Tensor]):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "none", small], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may make a small disk, and not everywhere")
    try:
        with pytest.raises(RecastError, match=r"No space left on device.*, with 0\.\d\d GiB free there"):
            trained(small)
        assert {manifest.fault(path) for path in small.glob("step-*")} == {None}
        rescued = shutil.copytree(small, tmp_path / "rescued")
        assert torch.equal(flat(trained(rescued)), finished[1])
    finally:
        subprocess.run(["umount", small], check=True)
