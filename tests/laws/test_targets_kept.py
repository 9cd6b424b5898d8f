"""What stands where a result is to go is never lost, and what stops a run leaves at most a folder that says what it is.

Each law holds for clips that are edited whole and for those that go segment by segment.
"""

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.errors import RequestError, WriteError
from recast.files import ABOUT, job_folder, put_new
from recast.types import Clip
from recast.video.read import opened
from recast.video.write import save_clip
from tiny_folder import clip_folder, written

FRAMES, SEGMENT = 9, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder):
    return Model.loaded(str(folder))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return clip_folder(tmp_path_factory.mktemp("clip") / "source", frames=FRAMES)


@pytest.fixture(params=[SEGMENT, 64], ids=["segments", "whole"])
def asked(request, source, tmp_path):
    settings = {"prompt": "a red ball", "steps": 1, "ensemble": 1, "segment": request.param}
    return Request.asked(source=source, target=tmp_path / "out.mp4", **settings)


def at_last_write(act):
    """A watch that acts once, when most frames are written."""
    acted = False

    def watch(stage, done, total):
        nonlocal acted
        if not acted and stage == "write" and done == total - 2:
            acted = True
            act()

    return watch


@pytest.mark.parametrize("name", ["out.mp4", "out"])
def test_what_came_while_writing_is_left_alone_and_the_result_is_not_lost(asked, model, name):
    request = dataclasses.replace(asked, target=asked.target.with_name(name))
    target = request.target

    def come():
        if target.suffix:
            target.write_text("precious")
        else:
            target.mkdir()
            (target / "00001.png").write_text("precious")

    with pytest.raises(RequestError, match="while the result was made, and was left alone; the result is") as caught:
        edit(request, model, at_last_write(come))
    kept = target if target.suffix else target / "00001.png"
    assert kept.read_text() == "precious"
    assert opened(Path(str(caught.value).partition("the result is ")[2])).num_frames == FRAMES
    edit(dataclasses.replace(request, overwrite=True), model, at_last_write(lambda: None))
    assert opened(target).num_frames == FRAMES
    assert sorted(path.name for path in target.parent.iterdir()) == [name]


def test_a_folder_keeps_what_came_while_writing_beside_the_new_pictures(asked, model):
    target = asked.target.with_name("shots")
    target.mkdir()
    edit(dataclasses.replace(asked, target=target), model, at_last_write((target / "notes.txt").touch))
    assert (target / "notes.txt").exists()
    assert opened(target).num_frames == FRAMES


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_or_device_is_not_replaced(asked, model, overwrite):
    os.mkfifo(asked.target)
    with pytest.raises(RequestError, match="is no regular file, and is not replaced"):
        edit(dataclasses.replace(asked, overwrite=overwrite), model)
    assert asked.target.is_fifo()
    link = asked.target.with_name("link.mp4")
    link.symlink_to(os.devnull)
    with pytest.raises(RequestError, match="is no regular file"):
        edit(dataclasses.replace(asked, target=link, overwrite=overwrite), model)
    assert link.is_symlink()
    assert len(list(asked.target.parent.iterdir())) == 2


def test_a_link_to_nowhere_is_there_already(asked, model):
    asked.target.symlink_to(asked.target.with_name("nowhere"))
    with pytest.raises(RequestError, match="is already there"):
        edit(asked, model)
    assert asked.target.is_symlink()


def test_a_place_that_takes_no_files_is_told_before_the_work(asked, model):
    steps = []
    with pytest.raises((RequestError, WriteError), match=r"nothing can be written there|the disk does not take"):
        edit(dataclasses.replace(asked, target=Path("/proc/out.mp4")), model, lambda *step: steps.append(step))
    assert not steps


def test_a_full_disk_loses_neither_the_old_result_nor_the_job(asked, model):
    request = dataclasses.replace(asked, overwrite=True)
    request.target.write_text("precious")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))

    try:
        with pytest.raises(WriteError, match="the disk does not take"):
            edit(request, model, lambda stage, *_: fill() if stage == "write" else None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert request.target.read_text() == "precious"
    edit(request, model)
    assert opened(request.target).num_frames == FRAMES
    assert [path.name for path in request.target.parent.iterdir()] == ["out.mp4"]


def test_a_short_edit_does_not_take_the_place_of_an_unfinished_long_one(asked, model):
    def stop(stage, _done, _total):
        if stage == "write":
            raise KeyboardInterrupt

    long = dataclasses.replace(asked, segment=SEGMENT)
    with pytest.raises(BaseException, match="the same command goes on"):
        edit(long, model, stop)
    held = sorted(job_folder(asked.target).iterdir())
    with pytest.raises(RequestError, match="holds an unfinished edit with other settings"):
        edit(dataclasses.replace(asked, segment=64), model)
    assert sorted(job_folder(asked.target).iterdir()) == held
    with pytest.raises(RequestError, match="holds an unfinished edit"):  # what `recast mask` and others write
        save_clip(Clip(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), Fraction(12)), asked.target)
    assert sorted(job_folder(asked.target).iterdir()) == held


def test_a_folder_that_has_the_workplaces_name_by_chance_is_left_alone(asked, model):
    (precious := job_folder(asked.target)).mkdir()
    (precious / "diary.txt").write_text("precious")
    with pytest.raises(RequestError, match="is not recast's, which would work there"):
        edit(asked, model)
    with pytest.raises(RequestError, match="is not recast's, which would work there"):
        save_clip(Clip(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), Fraction(12)), asked.target)
    assert [path.name for path in precious.iterdir()] == ["diary.txt"]


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_new_name_is_given_to_nothing_that_is_there(tmp_path, is_folder):
    made, target = tmp_path / "made", tmp_path / "target"
    for path in (made, target):
        inner = path / "x" if is_folder else path
        inner.parent.mkdir(exist_ok=True)
        inner.write_text(path.name)
    with pytest.raises(FileExistsError):
        put_new(made, target)
    assert sorted(tmp_path.iterdir()) == [made, target]
    target.rename(tmp_path / "away")
    put_new(made, target)
    assert (target / "x" if is_folder else target).read_text() == "made"
    assert not made.exists()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_leaves_at_most_a_folder_that_says_what_it_is(source, folder, tmp_path, number):
    flags = ["-p", "a red ball", "-m", str(folder), "--steps", "1000", "-o", "out.mp4"]
    command = [sys.executable, "-m", "recast", "edit", str(source), *flags]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not job_folder(tmp_path / "out.mp4").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        rest = process.communicate(timeout=100)[1]
    left = [path.name for path in tmp_path.iterdir()]
    if number == signal.SIGKILL:
        assert left == ["out.mp4.job"]
        assert "recast makes out.mp4 here" in (tmp_path / "out.mp4.job" / ABOUT).read_text()
        return
    assert left == []
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert rest.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in rest


def test_a_signal_inside_of_executed_text_ends_by_the_same_code(tmp_path):
    # Python ends by SIGINT where a KeyboardInterrupt left an `exec` of text, as libraries use it, caught or not.
    (tmp_path / "ended.py").write_text(
        "import signal, sys\n"
        "from recast.cli.progress import shown\n"
        "from recast.errors import Cancelled\n"
        "try:\n"
        "    with shown(quiet=True):\n"
        "        exec('signal.raise_signal(signal.SIGTERM)')\n"
        "except Cancelled as stopped:\n"
        "    print(stopped)\n"
        "    sys.exit(stopped.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-m", "ended"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert done.stdout == "ended by SIGTERM: nothing half-written is left behind\n"
