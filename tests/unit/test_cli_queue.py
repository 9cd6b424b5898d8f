"""`recast queue`, `recast worker` and `recast batch`: from a command line to results in their places."""

import json

import pytest

from recast.cli.app import run
from recast.editing.queued import EditHandler, made_at
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState
from tiny_folder import clip_folder, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("model")))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECAST_HOME", str(tmp_path / "data"))
    clip_folder(tmp_path / "clip")
    return tmp_path


@pytest.fixture
def store(here):
    return JobStore(here / "data" / "jobs.sqlite")


def flags(model):
    return ["-p", "a red ball", "-m", model, "--steps", "1", "--method", "sdedit"]


def listed(capsys):
    capsys.readouterr()
    assert run(["queue", "ls", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_queued_edit_has_the_bytes_of_an_edit(here, model, capsys):
    assert run(["edit", str(here / "clip"), "-o", "edited.mp4", *flags(model), "-q"]) == 0
    assert run(["queue", "add", "clip", "-o", "queued.mp4", *flags(model)]) == 0
    assert capsys.readouterr().out == "1\n"
    assert not (here / "queued.mp4").exists()
    assert run(["worker", "--until-empty", "-q"]) == 0
    [job] = listed(capsys)
    assert (job["state"], job["result"]["frames"]) == ("done", 5)
    assert not list(here.glob(".*"))
    assert (here / "queued.mp4").read_bytes() == (here / "edited.mp4").read_bytes()


def test_a_result_whose_name_was_taken_is_kept_and_put_in_place_by_a_retry(here, model, store, capsys):
    run(["queue", "add", "clip", "-o", "out.mp4", *flags(model)])
    job = store.take("w")
    made = store.make(job, EditHandler().make(job, lambda *_: None))
    (here / "out.mp4").write_text("somebody else's")
    store.release(made)
    assert run(["worker", "--until-empty"]) == 0
    assert f"the result is kept as {made_at(made)}" in capsys.readouterr().err
    assert (here / "out.mp4").read_text() == "somebody else's"
    (here / "out.mp4").unlink()
    assert run(["queue", "retry", "1"]) == 0
    assert run(["worker", "--until-empty", "-q"]) == 0
    assert (here / "out.mp4").stat().st_size > 1000
    assert not made_at(made).parent.exists()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "nowhere.mp4", "-p", "snow"], "nowhere.mp4"),
        (["add", "clip"], "nothing says what the clip should look like"),
        (["add", "clip", "-p", "snow", "-o", "shots/%05d.png"], "a queued edit fills a folder of its own"),
        (["show", "7"], "there is no job 7"),
        (["cancel", "7"], "there is no job 7"),
    ],
)
def test_what_cannot_be_queued_is_refused_when_it_is_asked_for(arguments, message, capsys):
    assert run(["queue", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_batch_goes_on_where_it_was(here, model, store, capsys):
    (here / "out").mkdir()
    lines = [{"source": "clip", "target": "out/a.mp4"}, {"source": "clip", "target": "out/b.mp4", "seed": 1}]
    (here / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    command = ["batch", "jobs.jsonl", *flags(model)]
    assert run([*command, "--dry-run"]) == 0
    assert "2 jobs are in order, 0 of them done" in capsys.readouterr().out
    assert store.jobs() == []
    assert run(command) == 0
    assert "2 of 2 done" in capsys.readouterr().err
    first = (here / "out" / "a.mp4").read_bytes()
    (here / "out" / "b.mp4").unlink()
    assert run(command) == 0
    assert "2 of 2 done, 1 of them before" in capsys.readouterr().err
    assert (here / "out" / "b.mp4").exists()
    assert (here / "out" / "a.mp4").read_bytes() == first


@pytest.fixture
def clips(here, model):
    """A folder of two clips and one broken file."""
    folder = here / "in"
    folder.mkdir()
    (here / "out").mkdir()
    assert run(["edit", "clip", "-o", "in/a.mp4", *flags(model), "-q"]) == 0
    (folder / "b.mp4").write_bytes((folder / "a.mp4").read_bytes())
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def test_a_folder_is_a_batch_and_a_broken_file_is_named_before_anything_runs(clips, here, model, store, capsys):
    command = ["batch", "in", "-o", "out", *flags(model)]
    assert run(command) == 2
    assert "broken.mp4" in capsys.readouterr().err
    assert store.jobs() == []
    (clips / "broken.mp4").unlink()
    assert run(command) == 0
    assert sorted(path.name for path in (here / "out").iterdir()) == ["a-recast.mp4", "b-recast.mp4"]


@pytest.mark.slow
def test_two_workers_share_a_batch(clips, here, model, store):
    (clips / "broken.mp4").unlink()
    assert run(["batch", "in", "-o", "out", "--workers", "2", "-q", *flags(model)]) == 0
    assert [job.state for job in store.jobs()] == [JobState.DONE] * 2
    assert sorted(path.name for path in (here / "out").iterdir()) == ["a-recast.mp4", "b-recast.mp4"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"source": "clip"}', "it names no target"),
        ('{"source": "clip", "target": "a.mp4", "sed": 1}', "there is no setting 'sed'"),
        ("[1]", "line 1: write a JSON object"),
        ('\n{"source": ', "line 2:"),
        ("", "holds no jobs"),
        ('{"source": "clip", "target": "a.mp4"}\n{"source": "clip", "target": "a.mp4", "seed": 3}', "2 jobs would"),
    ],
)
def test_a_batch_with_a_fault_runs_nothing(here, store, lines, message, capsys):
    (here / "jobs.jsonl").write_text(lines)
    assert run(["batch", "jobs.jsonl", "-p", "snow"]) == 2
    assert message in capsys.readouterr().err
    assert store.jobs() == []
