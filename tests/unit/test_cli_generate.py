"""`recast generate` end to end on a tiny model: file, record, rerun, refusals and exit codes."""

import json

import pytest
import torch

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.editing.record import Record
from recast.video.read import opened
from recast.video.record import embedded
from tiny_folder import written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_stable_diffusion(tmp_path_factory.mktemp("model")))


def made(model, *more):
    return run(["generate", "-p", "a dog", "-m", model, "--size", "64x32", "--frames", "4", "--steps", "2", *more])


def test_a_clip_is_written_with_its_record_and_made_again_by_it(tmp_path, monkeypatch, model, capsys):
    monkeypatch.chdir(tmp_path)
    assert made(model, "-o", "one.mp4", "--fps", "6", "--noise", "mixed", "--json", "-q") == 0
    facts = json.loads(capsys.readouterr().out)
    clip = opened(tmp_path / "one.mp4")
    assert (clip.num_frames, clip.size, clip.fps) == (4, (32, 64), 6)
    record = Record.from_json(embedded(tmp_path / "one.mp4"))
    assert record.request["method"] == "text-to-video"
    assert record.request["knobs"] == facts["record"]["request"]["knobs"] == {"noise": "mixed"}
    assert run(["rerun", "one.mp4", "-o", "again.mp4", "--trust", "-q"]) == 0
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "again.mp4").read_bytes()


def test_the_command_and_python_make_the_same(tmp_path, model):
    assert made(model, "-o", str(tmp_path / "clip/"), "-q") == 0
    frames = recast.load(model).generate(prompt="a dog", size=(64, 32), frames=4, steps=2).frames
    assert torch.equal(recast.open_clip(tmp_path / "clip").frames, frames)


def test_a_result_from_python_is_saved_with_its_record(tmp_path, model):
    result = recast.load(model).generate(prompt="a dog", size=(64, 32), frames=2, steps=1)
    result.save(tmp_path / "clip.mkv")
    assert Record.from_json(embedded(tmp_path / "clip.mkv")) == result.record


def test_refusals_are_one_line_with_the_exit_code_of_their_class(tmp_path, model, capsys):
    structured = str(written(tmp_path / "gen1"))
    assert made(structured, "-o", str(tmp_path / "x.mp4"), "-q") == 2
    assert "always given the structure of a clip" in capsys.readouterr().err
    assert made(model, "-q") == 2
    assert made(model, "-o", str(tmp_path / "x.mp4"), "-q", "--set", "mask=m.png") == 2
    assert run(["generate", "-m", model, "-o", str(tmp_path / "x.mp4"), "-q"]) == 2
    assert made(model, "-o", str(tmp_path / "clip.mp4"), "-q") == 0
    capsys.readouterr()
    edit = ["edit", str(tmp_path / "clip.mp4"), "-p", "a dog", "-m", model, "-o", str(tmp_path / "x.mp4")]
    assert run([*edit, "--method", "text-to-video"]) == 2
    assert "say recast generate" in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))


def test_stages_are_told(tmp_path, model, capsys):
    assert made(model, "-o", str(tmp_path / "x.mp4")) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["load", "content", "denoise", "decode", "write"]
