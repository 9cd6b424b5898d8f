"""`recast generate --plan` counts what making the clip does, and makes nothing."""

import json

import pytest

import recast
from backbone_folders import FOLDERS
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.evaluation.metrics.cost import counted
from tiny_folder import written

ASKED = ["--size", "32x32", "--steps", "2", "--window", "4"]
BOARD = '[[scene]]\nprompt = "a red ball"\nframes = 2\n[[scene]]\nprompt = "a blue ball"\nframes = 3\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_stable_diffusion(tmp_path_factory.mktemp("model")))


def planned(capsys, *more):
    assert run(["generate", *more, "-o", "out.mp4", "--plan", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("long", ["overlap", "keys"])
def test_evaluations_are_those_of_the_clip(model, capsys, tmp_path, monkeypatch, long):
    monkeypatch.chdir(tmp_path)
    found = planned(capsys, "-p", "a ball", "-m", model, "--frames", "8", *ASKED, "--long", long)
    editor = recast.load(model)
    backbone, evaluations = counted(editor.model.backbone)
    object.__setattr__(editor.model, "backbone", backbone)
    editor.generate(prompt="a ball", frames=8, size=(32, 32), steps=2, window=4, long=long)
    assert found["evaluations"] == evaluations.count > 0
    assert (found["frames"], found["size"], found["window"]) == ([8], [32, 32], 4)
    assert found["flops"]["denoise"] > 0
    assert found["memory"] > 0
    assert not list(tmp_path.iterdir())


def test_scenes_add_up_and_a_plan_is_told(model, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "board.toml").write_text(BOARD)
    both = planned(capsys, "--storyboard", "board.toml", "-m", model, *ASKED)
    alone = [planned(capsys, "-p", "a ball", "-m", model, "--frames", str(count), *ASKED) for count in (2, 3)]
    assert both["frames"] == [2, 3]
    for stage in ("denoise", "decode"):
        assert both["flops"][stage] == sum(each["flops"][stage] for each in alone)
    assert run(["generate", "-p", "a ball", "-m", model, "--frames", "8", *ASKED, "-o", "out.mp4", "--plan"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in ("frames", "windows", "time", "memory", "FLOPs", "rate"))


@pytest.mark.parametrize("family", ["animatediff", "wan"])
def test_families_of_video_are_planned(family, capsys, tmp_path):
    folder = FOLDERS[family](tmp_path)
    found = planned(capsys, "-p", "a ball", "-m", str(folder), "--frames", "5", "--size", "64x64", "--steps", "2")
    assert found["flops"]["denoise"] > 0


def test_what_is_refused_is_refused_before(capsys, tmp_path):
    folder = str(written(tmp_path / "model"))
    assert run(["generate", "-p", "a ball", "-m", folder, "-o", "out.mp4", "--plan"]) != 0
    assert "structure" in capsys.readouterr().err
