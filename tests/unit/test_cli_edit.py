"""The commands on a tiny model, end to end: files, lines, JSON and exit codes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from recast.cli.app import run
from recast.video.read import Window, opened, read
from tiny_folder import clip_folder, written

STAGES = ("load", "read", "structure", "content", "denoise", "decode", "write")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("model")))


@pytest.fixture
def here(tmp_path, monkeypatch):
    clip_folder(tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edited(model, *more):
    return run(["edit", "clip", "-p", "a red ball", "-m", model, "--steps", "2", *more])


def test_edit_tells_its_stages_and_where_the_result_is(here, model, capsys):
    assert edited(model) == 0
    output = capsys.readouterr()
    assert not output.out
    lines = output.err.splitlines()
    assert tuple(line.split()[0] for line in lines[: len(STAGES)]) == STAGES
    assert "peak" in lines[0]
    assert lines[-1].startswith("clip-recast.mp4: 5 frames in ")
    assert opened(here / "clip-recast.mp4").num_frames == 5


@pytest.mark.usefixtures("here")
def test_json_is_one_object_on_stdout(model, capsys):
    assert edited(model, "--json", "-q", "-o", "out.mp4", "--temporal-guidance", "1.5", "--set", "overlap=0.25") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["output"] == "out.mp4"
    assert shown["record"]["request"]["knobs"] == {"temporal_guidance": 1.5, "overlap": 0.25}
    assert shown["seconds"] > 0 < shown["peak_gib"]


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".gif"])
def test_rerun_gives_the_same_bytes(here, model, ending):
    first, again = here / f"first{ending}", here / f"again{ending}"
    assert edited(model, "-q", "-o", str(first), "--method", "sdedit", "--strength", "0.5", "--seed", "3") == 0
    assert run(["rerun", str(first), "-o", str(again), "-q", "--trust"]) == 0
    assert first.read_bytes() == again.read_bytes()
    assert run(["rerun", str(first), "-o", str(again), "-q", "-y", "--trust", "--set", "seed=4"]) == 0
    assert first.read_bytes() != again.read_bytes()


def test_rerun_of_pictures_gives_the_same_bytes(here, model):
    assert edited(model, "-q", "-o", "first") == 0
    assert run(["rerun", "first", "-o", "again", "-q", "--trust"]) == 0
    names = sorted(file.name for file in (here / "first").iterdir())
    assert len(names) == 6
    assert all((here / "first" / name).read_bytes() == (here / "again" / name).read_bytes() for name in names)


@pytest.mark.usefixtures("here")
def test_rerun_says_when_its_source_has_changed(model, capsys):
    assert edited(model, "-q", "-o", "out.mp4") == 0
    Path("clip/000.png").write_bytes(Path("clip/001.png").read_bytes())
    assert run(["rerun", "out.mp4", "--trust"]) == 2
    assert "error: clip has changed since" in capsys.readouterr().err
    assert run(["rerun", "out.mp4", "--set", "source=clip", "-q", "--trust"]) == 0
    Path("clip").rename("moved")
    assert run(["rerun", "out.mp4", "--trust"]) == 2
    assert "error: clip is not here; run this where it was made" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_info_shows_facts_and_record(model, capsys):
    assert edited(model, "-q", "-o", "out.mp4") == 0
    assert run(["info", "out.mp4"]) == 0
    output = capsys.readouterr().out
    assert "52x40" in output
    assert "a red ball" in output
    assert run(["info", "out.mp4", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["size"], shown["frames"], shown["record"]["request"]["steps"]) == ("52x40", 5, 2)
    assert run(["info", "clip"]) == 0
    assert "no record" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_a_masked_edit_keeps_the_rest(model):
    mask = Image.new("L", (52, 40))
    mask.paste(255, (0, 0, 20, 40))
    mask.save("mask.png")
    assert edited(model, "-q", "-o", "out", "--mask", "mask.png", "--edit", "outside", "--feather", "2") == 0
    before, after = (read(opened(name), Window()).frames for name in ("clip", "out"))
    assert torch.equal(before[..., :18], after[..., :18])
    assert not torch.equal(before[..., 22:], after[..., 22:])


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("more", "rows"), [((), 5), (("--seeds", "2"), 3), (("--sweep", "structure-detail=0,3.5,7"), 4)]
)
def test_preview_has_a_row_for_the_source_and_each_try(model, capsys, more, rows):
    assert run(["preview", "clip", "-p", "snow", "-m", model, "--steps", "1", "-q", "--json", *more]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["rows"]) == rows
    assert shown["rows"][0] == "source"
    with Image.open(shown["output"]) as sheet:
        assert sheet.height > rows * 32


@pytest.mark.usefixtures("here")
def test_structure_writes_a_map_for_each_frame(model):
    assert run(["structure", "clip", "-o", "maps", "-m", model, "-q", "--structure", "edges"]) == 0
    assert read(opened("maps"), Window()).frames.shape == (5, 3, 40, 52)


def test_doctor_is_well_with_a_model_and_not_without(here, model, capsys):
    assert run(["doctor", "-m", model, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["healthy"]
    assert shown["edit"].startswith("4 of 4 frames")
    assert shown["training"]["precision"] in {"fp32", "bf16"}
    assert min(shown["training"]["fp32 GFLOP/s"], shown["training"]["bf16 GFLOP/s"]) > 0
    assert run(["doctor", "-m", str(here)]) == 1
    assert "FAILED: " in capsys.readouterr().out


def test_lists(capsys):
    assert run(["models", "--json"]) == 0
    assert "pocket" in json.loads(capsys.readouterr().out)


def test_unknown_words_are_named_in_one_line(here, model, capsys):
    assert edited(model, "-p", "zebra snowi", "-q") == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(warned) == 1
    assert warned[0].endswith("does not know: zebra, snowi (near: snow, snowy)")
    assert here.exists()


def test_ctrl_c_stops_at_the_next_step_and_leaves_nothing(here, model):
    command = [sys.executable, "-m", "recast", "edit", "clip", "-p", "snow", "-m", model, "--steps", "1000"]
    before = sorted(here.iterdir())
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "80"}) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("content"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "error: stopped; nothing half-written is left behind" in rest
    assert "Traceback" not in rest
    assert sorted(here.iterdir()) == before
