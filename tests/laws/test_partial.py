"""What is finished of a long edit can be written out: it is the beginning of the whole, which can still go on."""

import hashlib
import json
import shutil
import time
from pathlib import Path

import av
import pytest
import torch
from video_files import SourceSpec, made

from recast.cli.app import run
from recast.editing.edit import edit
from recast.editing.job import EditJob
from recast.editing.loaded import Model
from recast.editing.partial import partial_name
from recast.editing.queued import EditHandler, document_of
from recast.editing.record import Record
from recast.editing.request import Request
from recast.errors import Cancelled
from recast.files import job_folder, run_lock
from recast.jobs.store import JobStore
from recast.jobs.worker import Worker
from recast.video.read import Window, opened, read
from recast.video.record import embedded
from tiny_folder import clip_folder, written

SEGMENT, SHARED = 8, 2
TIMES = tuple(1001 * number + 400 * (number % 2) for number in range(19))
"""Of 19 frames whose rate varies."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder):
    return Model.loaded(str(folder))


@pytest.fixture
def here(tmp_path, monkeypatch):
    made(tmp_path / "clip.mkv", SourceSpec(times=TIMES, sound="flac"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(folder, target="out.mkv", **more):
    settings = {"source": "clip.mkv", "prompt": "a red ball", "steps": 2, "segment": SEGMENT, "window": 2 * SHARED}
    codec = {"codec": "ffv1"} if target.endswith(".mkv") else {}
    return Request.asked(**settings | codec | more, target=target, ensemble=1, model=str(folder), cuts="none")


def stopped(request, model, segments):
    """The edit, stopped when so many segments are done; its folder."""
    job = EditJob(job_folder(request.target))

    def stop(stage, _done, _total):
        if stage in ("denoise", "write") and job.segments_done() == segments:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        edit(request, model, stop)
    return job.path


def held(folder):
    """What a job's folder holds, but for the file that its lock is held by."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def packets(path, kind):
    """Time in seconds, and bytes, of each packet of sound or pictures."""
    with av.open(str(path)) as container:
        found = container.demux(getattr(container.streams, kind)[0])
        return [(float(each.pts * each.time_base), bytes(each)) for each in found if each.size]


def times(path):
    return [round(time, 3) for time, _ in packets(path, "video")]


def frames(path):
    return read(opened(Path(path)), Window()).frames


@pytest.mark.parametrize("name", ["out.mkv", "out"])
@pytest.mark.parametrize("segments", [1, 2, 3])
def test_what_is_finished_is_the_beginning_of_the_whole_which_goes_on_to_the_same_bytes(
    here, folder, model, name, segments
):
    whole, request = asked(folder, f"whole{Path(name).suffix}"), asked(folder, name)
    edit(whole, model)
    job = stopped(request, model, segments)
    before = held(job)
    assert run(["partial", name, "--trust", "-q"]) == 0
    assert held(job) == before
    part = partial_name(here / name)
    count = {1: SEGMENT - SHARED, 2: 2 * (SEGMENT - SHARED), 3: len(TIMES)}[segments]
    assert torch.equal(frames(part), frames(whole.target)[:count])
    edit(request, model)
    assert not job.exists()
    assert _digest(request.target) == _digest(whole.target)
    assert sorted(path.name for path in here.glob("*.job")) == []


def _digest(path):
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


@pytest.mark.usefixtures("here")
def test_the_frames_that_the_next_segment_still_changes_are_not_those_of_the_whole(folder, model):
    """So that leaving them out is not idle."""
    request = asked(folder)
    latents = EditJob(stopped(request, model, 1)).latents(0)
    edit(request, model)
    decoded = model.decode("own")(latents, lambda *_: None)
    assert not torch.equal(decoded[SEGMENT - 1], frames(request.target)[SEGMENT - 1])


@pytest.mark.usefixtures("here")
def test_times_and_sound_are_those_of_the_frames(folder, model):
    edit(asked(folder, "whole.mkv"), model)
    stopped(asked(folder), model, 2)
    assert run(["partial", "out.mkv.job", "-o", "part.mkv", "--trust", "-q"]) == 0
    count = 2 * (SEGMENT - SHARED)
    assert times("part.mkv") == times("whole.mkv")[:count]
    part, whole = packets("part.mkv", "audio"), packets("whole.mkv", "audio")
    assert 0 < len(part) < len(whole)
    assert part == whole[: len(part)]
    end = times("whole.mkv")[count]
    assert part[-1][0] < end <= whole[len(part)][0] + 0.002  # Matroska rounds to milliseconds


def test_the_record_says_how_much_it_is_and_of_how_much(here, folder, model, capsys):
    stopped(asked(folder), model, 1)
    assert run(["partial", "out.mkv", "--trust", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    record = Record.from_json(embedded(here / "out-partial.mkv"))
    assert (record.worked["frames"], record.worked["of_frames"]) == (6, 19)
    assert "the first 6 of 19 frames of an edit that is not finished; a rerun makes all of them" in record.notes
    assert (shown["output"], shown["record"]["worked"]["of_frames"]) == ("out-partial.mkv", 19)
    assert run(["rerun", "out-partial.mkv", "-o", "again.mkv", "--trust", "-q"]) == 0
    assert run(["edit", *line(folder)]) == 0
    assert (here / "again.mkv").read_bytes() == (here / "out.mkv").read_bytes()


def line(folder):
    """The command line of `asked`."""
    given = ["--steps", "2", "--segment", str(SEGMENT), "--window", str(2 * SHARED), "--ensemble", "1"]
    return [
        "clip.mkv",
        "-o",
        "out.mkv",
        "-p",
        "a red ball",
        "-m",
        str(folder),
        *given,
        "--codec",
        "ffv1",
        "--cuts",
        "none",
    ]


def refused(capsys, *words):
    """What a command line is answered with, in one line."""
    assert run(["partial", *words]) == 2
    [answer] = [each for each in capsys.readouterr().err.splitlines() if not each.startswith("reads what")]
    return answer


@pytest.mark.usefixtures("here")
def test_where_nothing_can_be_written_out_a_line_says_why(folder, model, capsys):
    assert "there is no unfinished edit to out.mkv: no folder" in refused(capsys, "out.mkv")
    Path("out.mkv.job").mkdir()
    assert "out.mkv.job is not recast's" in refused(capsys, "out.mkv")
    assert not list(Path("out.mkv.job").iterdir())
    Path("out.mkv.job").rmdir()
    job = stopped(asked(folder), model, 0)
    assert "no segment of this edit is finished yet" in refused(capsys, "out.mkv")
    shutil.rmtree(job)
    stopped(asked(folder), model, 1)
    with run_lock(job):
        assert "another run is at work there; wait for it, or stop it with Ctrl-C" in refused(capsys, "out.mkv")
    assert f"outside this folder, and none of it was read: model {folder}" in refused(capsys, "out.mkv")
    assert "the whole edit goes to out.mkv" in refused(capsys, "out.mkv.job", "--trust", "-o", "out.mkv")
    Path("out-partial.mkv").write_text("precious")
    assert "out-partial.mkv is already there" in refused(capsys, "out.mkv", "--trust")
    assert Path("out-partial.mkv").read_text() == "precious"


def test_a_part_is_refused_where_the_clip_or_the_job_is_another(here, folder, model, capsys):
    job = stopped(asked(folder), model, 1)
    segment = job / "segment-000000.safetensors"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    assert f"{segment} is damaged" in refused(capsys, "out.mkv", "--trust", "-q")
    assert run(["edit", *line(folder), "-q"]) == 2
    assert f"{segment} is damaged" in capsys.readouterr().err
    segment.write_bytes(whole)
    made(here / "clip.mkv", SourceSpec(times=TIMES))
    answer = refused(capsys, "out.mkv", "--trust", "-q")
    assert "out.mkv.job holds an unfinished edit with another source, model or version" in answer
    for text in ("", "[1", "[1]", '{"about": "?"}', "[" * 9999):
        (job / "job.json").write_text(text)
        assert "damaged" in refused(capsys, "out.mkv", "--trust", "-q")
    assert not (here / "out-partial.mkv").exists()


def test_a_cancelled_job_of_the_queue_is_written_out_and_goes_on(tmp_path, monkeypatch, folder, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECAST_HOME", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    clip_folder(tmp_path / "clip", frames=12)
    wish = {"prompt": "a red ball", "model": str(folder), "steps": 2, "segment": 4, "window": 4, "source": "clip"}
    store = JobStore(tmp_path / "data" / "jobs.sqlite", lease_seconds=0.04)
    store.add([document_of(Request.asked(**wish, target=name)) for name in ("whole", "out")])

    def cancel(stage, done, total):
        if stage == "denoise" and store.job(2).state == "running" and done > 0.5 * total and not store.job(2).cancel:
            store.cancel(2)
            time.sleep(0.1)  # until the lease has seen it

    Worker(store, EditHandler(), idle_seconds=0.01).run(cancel, until_empty=True)
    assert run(["queue", "partial", "2", "-q"]) == 0
    part = frames(tmp_path / "out-partial")
    assert 0 < len(part) < 12
    assert torch.equal(part, frames(tmp_path / "whole")[: len(part)])
    assert run(["queue", "partial", "2", "-o", str(tmp_path / "out")]) == 2
    assert f"the whole edit goes to {tmp_path / 'out'}" in capsys.readouterr().err
    store.retry(2)
    Worker(store, EditHandler(), idle_seconds=0.01).run(lambda *_: None, until_empty=True)
    assert _digest(tmp_path / "out") == _digest(tmp_path / "whole")
    assert run(["queue", "partial", "2"]) == 2
    assert "job 2 is done, and the whole result is" in capsys.readouterr().err


def test_names_of_parts():
    names = {"a/out.mp4": "a/out-partial.mp4", "out": "out-partial", "a/shot/%05d.png": "a/shot-partial/%05d.png"}
    assert {name: str(partial_name(Path(name))) for name in names} == names
    here = Path.cwd()
    assert partial_name(Path("%05d.png")) == here.with_name(f"{here.name}-partial") / "%05d.png"
