"""A record that was found in a file is data: it makes recast read nothing that the user did not mean."""

import json
import os
import shutil
from pathlib import Path

import pytest

from recast.cli.app import run
from recast.editing.queued import document_of
from recast.editing.record import Record
from recast.editing.request import Request
from tiny_folder import clip_folder, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return written(tmp_path_factory.mktemp("model"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to stand in, beside one of secrets."""
    clip_folder(tmp_path / "here" / "clip", frames=2)
    clip_folder(tmp_path / "secret", frames=2)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def found(folder: Path, **settings: object) -> str:
    """A folder of pictures that somebody gave us, with such a record."""
    clip_folder(folder, frames=1)
    request = Request.asked(**{"words": "snow", "source": "clip"} | settings)
    record = Record("0.1.0", request.to_dict(), {"name": request.model, "digest": "0"}, {}, {})
    (folder / "recast.json").write_text(record.to_json())
    return str(folder)


def reads(folder: Path) -> list[str]:
    """The files of a folder that were read since it was made, by their time of access."""
    return [file.name for file in folder.iterdir() if file.stat().st_atime_ns > 0]


def test_a_structure_of_a_file_is_one_of_the_files_that_are_named(here, capsys):
    given = found(here / "given", structure="edges", structure_from={"edges": "../secret"})
    assert run(["rerun", given, "-o", "out", "--set", "steps=1"]) == 2
    assert "none of it was read: structure_from ../secret;" in capsys.readouterr().err
    queued = document_of(Request.asked(source="clip", target="out", words="snow", structure_from="edges=lines.mp4"))
    assert queued["structure_from"] == {"edges": str(here / "lines.mp4")}


@pytest.mark.parametrize("setting", ["source", "mask", "pictures", "model"])
@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "clip/../../secret", "link", "holds_link", ".hidden/x"])
def test_what_lies_elsewhere_is_listed_and_not_read(here, capsys, setting, path):
    (here / "link").symlink_to("../secret")
    (here / "holds_link").mkdir()
    (here / "holds_link" / "0.png").symlink_to("../../secret/000.png")
    for file in (here.parent / "secret").iterdir():
        os.utime(file, ns=(0, file.stat().st_mtime_ns))
    code = run(["rerun", found(here / "given", **{setting: path}), "-o", "out", "--set", "steps=1"])
    message = capsys.readouterr().err
    assert code == 2
    assert f"the record names what lies outside this folder, and none of it was read: {setting} {path};" in message
    assert "--trust" in message
    assert f"--set {setting}=FILE" in message
    assert not reads(here.parent / "secret")
    assert not (here / "out").exists()


def test_what_the_user_gives_is_the_user_s(here, model, capsys):
    given = found(here / "given", source="../secret", model=str(model), mask="/etc/passwd")
    mine = ["--set", "source=../secret", "--set", f"model={model}", "--set", "mask=null", "--set", "steps=1"]
    assert run(["rerun", given, "-o", "out", *mine]) == 0, capsys.readouterr().err
    assert "reads what the record names" not in capsys.readouterr().err
    assert len(list((here / "out").glob("*.png"))) == 2


def test_trust_allows_all_of_it_and_says_so(here, model, capsys):
    given = found(here / "given", source="../secret", model=str(model))
    assert run(["rerun", given, "-o", "out", "--trust", "--set", "steps=1"]) == 0
    assert f"reads what the record names: source ../secret, model {model}\n" in capsys.readouterr().err


def test_what_lies_here_or_beside_the_file_is_read_unasked(here, model, capsys, monkeypatch):
    shutil.copytree(model, here / "model")
    given = found(here / "given", model="model")
    assert run(["rerun", given, "-o", "out", "--set", "steps=1"]) == 0
    assert "reads what the record names: source clip, model model\n" in capsys.readouterr().err
    given = found(here / "given2", source=str(here / "clip"), model=str(here / "model"))
    (here.parent / "elsewhere").mkdir()
    monkeypatch.chdir(here.parent / "elsewhere")
    assert run(["rerun", given, "-o", "out", "--set", "steps=1", "-q"]) == 0


def test_pipes_are_never_opened(here, capsys):
    os.mkfifo(here / "pipe")
    os.mkfifo(here / "pipe.png")
    (here / "m").mkdir()
    os.mkfifo(here / "m" / "model_index.json")
    for path in ("pipe", "pipe.png"):
        shutil.rmtree(here / "given", ignore_errors=True)
        assert run(["rerun", found(here / "given", source=path), "-o", "out"]) == 2
        assert f"{path} is no regular file and no folder" in capsys.readouterr().err
        assert run(["info", path]) == 2
        assert "no regular file" in capsys.readouterr().err
    shutil.rmtree(here / "given")
    assert run(["rerun", found(here / "given", model="m"), "-o", "out"]) == 3


@pytest.mark.parametrize("kind", ["pipe", "endless", "huge", "deep"])
def test_info_reads_only_a_small_regular_record(here, capsys, kind):
    place = Path(found(here / "given")) / "recast.json"
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "endless":
        place.symlink_to("/dev/zero")
    elif kind == "huge":
        place.write_text(json.dumps({"x": "y" * 2**24}))
    else:
        place.write_text("[" * 10**6)
    assert run(["info", "given"]) == 0
    assert "no record" in capsys.readouterr().out


@pytest.mark.parametrize("record", ["{}", '{"request": 3}', '{"request": {}, "model": [], "inputs": 1}'])
def test_records_of_another_shape_are_no_crash(here, capsys, record):
    place = Path(found(here / "given")) / "recast.json"
    place.write_text(record)
    assert run(["info", "given"]) == 0
    assert run(["rerun", "given", "-o", "out"]) == 2
    assert "and should not" not in capsys.readouterr().err
