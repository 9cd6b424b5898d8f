"""One way to write: whole or not at all, on the disk before it has its name, and told where the disk is full."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from recast.cli import app
from recast.errors import WriteError
from recast.files import disk_told, is_full, put, sync_all, whole_file, whole_folder, write_synced


def names(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


def test_a_file_appears_whole_and_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "out.bin"
    for text in ("old", "new"):
        with whole_file(target) as part:
            part.write_text(text)
            assert not target.exists() or target.read_text() == "old"
        assert target.read_text() == text
    assert names(tmp_path) == ["out.bin"]


def test_a_folder_appears_whole_and_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "out"
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "left over").touch()
    for name in ("old", "new"):
        with whole_folder(target) as part:
            (part / "inner").mkdir()
            (part / "inner" / name).touch()
            assert not target.exists() or names(target) == ["inner", "inner/old"]
        assert names(target) == ["inner", f"inner/{name}"]
    assert names(tmp_path) == ["out", "out/inner", "out/inner/new"]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_what_is_not_finished_leaves_the_old_as_it_was(tmp_path, whole, raised):
    target = tmp_path / "out"
    with whole(target) as part:
        (part / "1" if whole is whole_folder else part).write_text("precious")
    before = names(tmp_path)
    with pytest.raises(raised), whole(target) as part:  # noqa: PT012
        (part / "2" if whole is whole_folder else part).write_text("half")
        raise raised
    assert names(tmp_path) == before


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(OSError), whole_file(tmp_path / "out") as part:  # noqa: PT011 -- IsADirectoryError on Linux only
        part.touch()
    assert names(tmp_path) == ["out", "out/precious"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the names of open files are read from /proc")
def test_everything_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    def replaced(part: Path, target: Path) -> Path:
        done.append("rename")
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    with whole_folder(tmp_path / "out") as part:
        (part / "inner").mkdir()
        (part / "inner" / "file").touch()
    assert done == ["inner", "file", "out.part", "rename", tmp_path.name]
    write_synced(tmp_path / "note", "x")
    assert done[-1] == "note"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_full_disk_is_told_with_the_place_and_what_to_do(tmp_path, number):
    message = r"the disk does not take .*out \(.*\), with \d+\.\d\d GiB free"
    with pytest.raises(WriteError, match=message) as caught, disk_told(tmp_path / "no" / "out"):
        raise OSError(number, os.strerror(number))
    assert "make room" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", [OSError(errno.EIO, "broken"), ValueError("x"), OSError("no number")])
def test_other_errors_stay_what_they_are(tmp_path, other):
    with pytest.raises(type(other)), disk_told(tmp_path):
        raise other


def test_a_full_disk_anywhere_else_is_one_line_too(monkeypatch, capsys):
    def command(_arguments, **_settings):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "report.json")

    monkeypatch.setattr(app, "app", command)
    assert app.run([]) == 1
    assert capsys.readouterr().err.startswith("error: the disk does not take report.json (No space left on device)")


limited = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")


def in_child(code: str, folder: Path, limit: int) -> str:
    """What a process prints that may write files of at most `limit` bytes."""
    begin = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + code], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SAVES = {
    "numpy": "import numpy as np; np.save(part.open('wb'), np.zeros(10**6))",
    "pillow": "from PIL import Image; Image.effect_noise((999, 999), 99).save(part, format='PNG')",
    "safetensors": "import numpy as np; from safetensors.numpy import save_file as f; f({'w': np.zeros(10**6)}, part)",
    "text": "part.write_text('x' * 10**7)",
}


@limited
@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
def test_every_writer_s_full_disk_is_known(tmp_path, save):
    (tmp_path / "out").write_text("precious")
    code = f"""
from pathlib import Path
from recast.errors import WriteError
from recast.files import disk_told, whole_file
try:
    with disk_told(Path("out")), whole_file(Path("out")) as part:
        {save}
except WriteError as error:
    print(error)
"""
    assert "the disk does not take out (" in in_child(code, tmp_path, 10**5)
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "precious"


MOVIE = """
from fractions import Fraction
from pathlib import Path
import torch
from recast.errors import WriteError
from recast.types import Clip
from recast.video.write import save_clip
frames = torch.randint(0, 256, (20, 3, 128, 128), dtype=torch.uint8)
for target in TARGETS:
    try:
        save_clip(Clip(frames, Fraction(25)), Path(target))
    except WriteError as error:
        print(error)
"""


@limited
def test_a_result_that_the_disk_does_not_take_leaves_nothing(tmp_path):
    targets = ["a.mp4", "b.mkv", "c.webm", "d.gif", "e.avi", "shots"]
    lines = in_child(MOVIE.replace("TARGETS", repr(targets)), tmp_path, 20_000).splitlines()
    assert [line.split(" (")[0] for line in lines] == [f"the disk does not take {target}" for target in targets]
    assert not names(tmp_path)


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 256 KiB, where the tests may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("only root may mount a tiny disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full_keeps_the_old_file(tiny_disk):
    target = tiny_disk / "weights.safetensors"
    save_file({"w": torch.ones(10)}, target)
    before = target.read_bytes()
    with pytest.raises(WriteError, match=r"0\.00 GiB free"), disk_told(target), whole_file(target) as part:
        save_file({"w": torch.zeros(10**6)}, part)
    with pytest.raises(WriteError), disk_told(target), whole_file(target) as part, part.open("wb") as file:
        np.save(file, np.zeros(10**6))
    assert target.read_bytes() == before
    assert names(tiny_disk) == ["weights.safetensors"]


def test_folders_are_put_in_place_without_a_context_too(tmp_path):
    (tmp_path / "a.part").mkdir()
    sync_all(tmp_path / "a.part")
    put(tmp_path / "a.part", tmp_path / "a")
    assert names(tmp_path) == ["a"]
    assert not is_full(OSError("x"))
