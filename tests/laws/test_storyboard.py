"""Storyboards: one clip of several scenes, each what it is by itself, and clear words for what cannot be."""

import json

import pytest
import torch

import recast
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.editing.record import Record
from recast.editing.request import Request
from recast.editing.storyboard import Storyboard
from recast.errors import MediaError, RequestError
from recast.video.record import embedded

BOARD = """
subject = "a red dog"
style = "a sketch"
seconds = 0.5
fps = 8
size = "64x32"
steps = 2
seed = 5

[[scene]]
prompt = "in snow"

[[scene]]
prompt = "a street with {subject} at night"
frames = 3
noise = "shared"

[[scene]]
prompt = "on a meadow"
seed = 40
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_stable_diffusion(tmp_path_factory.mktemp("model")))


@pytest.fixture
def board(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(BOARD)
    return path


def test_words_lengths_and_seeds_of_scenes(board):
    requests = Storyboard.read(board).requests(Request.asked(method="text-to-video", cfg=2.0))
    assert [each.words[0][0] for each in requests] == [
        "a red dog, in snow, a sketch",
        "a street with a red dog at night, a sketch",
        "a red dog, on a meadow, a sketch",
    ]
    assert [each.seed for each in requests] == [5, 6, 40]
    assert [(each.duration, each.max_frames) for each in requests] == [(0.5, None), (None, 3), (0.5, None)]
    assert [each.knobs for each in requests] == [{}, {"noise": "shared"}, {}]
    assert {each.cfg for each in requests} == {2.0}


def test_a_clip_is_its_scenes_one_after_the_other(board, model):
    editor = recast.load(model)
    whole = editor.generate(storyboard=board)
    asked = {"fps": 8, "size": (64, 32), "steps": 2}
    scenes = [
        editor.generate(prompt="a red dog, in snow, a sketch", frames=4, seed=5, **asked),
        editor.generate(prompt="a street with a red dog at night, a sketch", frames=3, seed=6, noise="shared", **asked),
        editor.generate(prompt="a red dog, on a meadow, a sketch", frames=4, seed=40, **asked),
    ]
    assert torch.equal(whole.frames, torch.cat([each.frames for each in scenes]))
    assert whole.record.notes[:3] == (
        "scene 1: frames 0 to 3, seed 5, 'a red dog, in snow, a sketch'",
        "scene 2: frames 4 to 6, seed 6, 'a street with a red dog at night, a sketch'",
        "scene 3: frames 7 to 10, seed 40, 'a red dog, on a meadow, a sketch'",
    )


def test_the_command_writes_it_and_rerun_makes_it_again(board, model, monkeypatch, capsys):
    monkeypatch.chdir(board.parent)
    assert run(["generate", "--storyboard", "board.toml", "-m", model, "-o", "film.mp4", "--json", "-q"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["notes"]) == 3
    record = Record.from_json(embedded(board.parent / "film.mp4"))
    assert record.worked["frames"] == 11
    assert "board.toml" in record.inputs
    assert run(["rerun", "film.mp4", "-o", "again.mp4", "--trust", "-q"]) == 0
    assert (board.parent / "film.mp4").read_bytes() == (board.parent / "again.mp4").read_bytes()
    board.write_text(BOARD.replace("in snow", "in rain"))
    assert run(["rerun", "film.mp4", "-o", "third.mp4", "--trust", "-q"]) == 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "has none"),
        ("[[scene]]\nseconds = 1\n", "scene 1 of .* says nothing"),
        ('[[scene]]\nprompt = "a"\nlength = 1\n', "scene 1 of .* says length; it may say"),
        ('[[scene]]\nprompt = "a"\nseconds = 1\nframes = 8\n', "keep one"),
        ('[[scene]]\nprompt = "a"\n[[scene]]\nprompt = "b"\nseconds = -1\n', "scene 2 of .*duration"),
        ('image = "../cat.png"\n[[scene]]\nprompt = "a"\n', "beside the storyboard"),
        ('music = "x"\n[[scene]]\nprompt = "a"\n', "says music"),
    ],
)
def test_what_cannot_be_is_said_with_the_scene(tmp_path, text, wrong):
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(RequestError, match=wrong):
        Storyboard.read(path).requests(Request.asked(method="text-to-video"))


def test_a_file_that_is_missing_or_no_toml_is_said(tmp_path):
    with pytest.raises(MediaError, match="no such file"):
        Storyboard.read(tmp_path / "none.toml")
    (tmp_path / "torn.toml").write_text("[[scene")
    with pytest.raises(MediaError, match="no TOML"):
        Storyboard.read(tmp_path / "torn.toml")


def test_scenes_of_other_sizes_and_other_adapters_are_refused(board, model):
    editor = recast.load(model)
    board.write_text('adapter = "dog"\n' + BOARD)
    with pytest.raises(RequestError, match="names adapters"):
        editor.generate(storyboard=board)
