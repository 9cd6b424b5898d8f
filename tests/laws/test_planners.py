"""Plans by a language model at a real endpoint: files that the existing flags read, and answers that break the form."""

import json
import re
from fractions import Fraction

import pytest
import torch
from torch.testing import assert_close

import recast
from chat_server import chat_server
from recast.backbones.tiny import write_stable_diffusion
from recast.cli.app import run
from recast.editing.motion_files import guides_of
from recast.editing.request import Request
from recast.editing.storyboard import Storyboard
from recast.evaluation.endpoint import TRIES, ChatEndpoint
from recast.evaluation.prompts.plan_files import PlanSettings, planned
from recast.evaluation.prompts.planners import LanguagePlanner, Planner

SCENES = {
    "subject": "a red dog",
    "scenes": [{"prompt": "runs through snow", "seconds": 1}, {"prompt": "sleeps on a street", "seconds": 0.5}],
}
MOMENTS = {"prompts": ["a dog in snow, far away", "a dog in snow, near", "a street at night"]}
BOXES = {
    "objects": [
        {"words": "dog", "boxes": [[0, 0.5, 0.3, 1], [0.35, 0.5, 0.65, 1], [0.7, 0.5, 1, 1]]},
        {"words": "snow", "boxes": [[0, 0, 1, 1]] * 3},
    ]
}


def boxed(words, boxes):
    return {"objects": [{"words": words, "boxes": boxes}]}


def answering(*answers):
    """What a model says to each question about a form, by what it was asked; the last one again and again."""
    left = list(answers)

    def answer(_body):
        given = left.pop(0) if len(left) > 1 else left[0]
        return given if isinstance(given, str) else json.dumps(given)

    return answer


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """Runs the command; gives its exit code and what it wrote on the error stream."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def planned_by(server, *more, prompt="a dog in snow"):
        named = ["--endpoint", server.url, "--endpoint-model", "planner", "-o", "board.toml"]
        code = run(["storyboard", "-p", prompt, *named, *more])
        return code, capsys.readouterr().err

    return planned_by


def test_scenes_become_a_storyboard_that_can_be_edited(plan, tmp_path):
    with chat_server(answering(SCENES)) as server:
        assert plan(server, "--scenes", "2")[0] == 0
    assert "a dog in snow" in server.bodies[0]["messages"][0]["content"]
    base = Request.asked(method="text-to-video")
    requests = Storyboard.read(tmp_path / "board.toml").requests(base)
    words = ["a red dog, runs through snow", "a red dog, sleeps on a street"]
    assert [(each.words[0][0], each.duration) for each in requests] == [(words[0], 1.0), (words[1], 0.5)]
    text = (tmp_path / "board.toml").read_text()
    (tmp_path / "board.toml").write_text(text.replace("a red dog", "a cat"))
    assert Storyboard.read(tmp_path / "board.toml").requests(base)[0].words[0][0] == "a cat, runs through snow"


def test_moments_become_a_prompt_for_each_frame(plan, tmp_path):
    with chat_server(answering(MOMENTS)) as server:
        assert plan(server, "--scenes", "1", "--moments", "3", "--seconds", "1")[0] == 0
    editor = recast.load(write_stable_diffusion(tmp_path / "m"))
    asked = {"size": (32, 32), "steps": 1, "fps": 4, "noise": "mixed"}
    made = editor.generate(storyboard=tmp_path / "board.toml", **asked).frames
    keys = dict(zip(("0s", "0.5s", "1s"), MOMENTS["prompts"], strict=True))
    by_hand = editor.generate(schedules={"prompt": keys}, duration=1, **asked).frames
    assert made.shape == (4, 3, 32, 32)
    assert (made == by_hand).all()


def test_boxes_become_a_layout_beside_the_storyboard(plan, tmp_path):
    with chat_server(answering(BOXES)) as server:
        code, line = plan(server, "--scenes", "1", "--boxes", "3", "--seconds", "2")
    assert code == 0
    assert "1 of boxes beside it" in line
    [request] = Storyboard.read(tmp_path / "board.toml").requests(Request.asked(method="text-to-video"))
    assert request.words[0][0] == "a dog in snow"
    dog, snow = guides_of(request.layout, None, Fraction(8)).layout
    assert (dog.words, snow.words) == ("dog", "snow")
    asked = torch.tensor(BOXES["objects"][0]["boxes"])
    assert_close(dog.at([0, 8, 16]), asked)
    assert_close(dog.at([4])[0], asked[:2].mean(0))
    made = recast.load(write_stable_diffusion(tmp_path / "m")).generate(
        storyboard=tmp_path / "board.toml", size=(32, 32), steps=1, fps=2
    )
    assert len(made.frames) == 4


def test_scenes_with_boxes_ask_about_each_scene_with_its_subject(plan, tmp_path):
    by_scene = [{"objects": [{"words": word, "boxes": [[0, 0, 0.5, 1]]}]} for word in ("snow", "street")]
    with chat_server(answering(SCENES, *by_scene)) as server:
        assert plan(server, "--scenes", "2", "--boxes", "1")[0] == 0
    questions = [body["messages"][0]["content"] for body in server.bodies]
    assert "shows: a red dog, sleeps on a street" in questions[2]
    assert {path.name for path in tmp_path.glob("*.toml")} == {"board.toml", "board-boxes1.toml", "board-boxes2.toml"}


def test_an_answer_is_kept_and_the_same_question_is_asked_once(plan, tmp_path):
    with chat_server(answering(SCENES)) as server:
        assert plan(server, "--scenes", "2")[0] == 0
        assert plan(server, "--scenes", "2", "-y")[0] == 0
        assert len(server.bodies) == 1
        assert plan(server, "--scenes", "2", "-y", "--anew")[0] == 0
        assert plan(server, "--scenes", "2", "-y", prompt="a cat")[0] == 0
        assert len(server.bodies) == 3
        for kept in (tmp_path / "cache").rglob("*.json"):
            kept.write_text("{")
        assert plan(server, "--scenes", "2", "-y")[0] == 0
        assert len(server.bodies) == 4


@pytest.mark.parametrize(
    ("flags", "answer", "wrong"),
    [
        (["--scenes", "3"], SCENES, "2 scenes were given and 3 asked for"),
        (["--scenes", "2"], SCENES | {"music": "loud"}, "music: Extra inputs"),
        (["--scenes", "2"], "Sure! Here is a plan.", "Invalid JSON"),
        (["--scenes", "1", "--moments", "2"], {"prompts": ["a dog, 3: a cat", "a cat"]}, "no number with a colon"),
        (
            ["--scenes", "1", "--boxes", "1"],
            {"objects": [{"words": "cat", "boxes": [[0, 0, 1, 1]]}]},
            "'cat' is no word",
        ),
        (["--scenes", "1", "--boxes", "1"], boxed("dog", [[1, 0, 0, 1]]), "left < right"),
        (
            ["--scenes", "1", "--boxes", "1"],
            {"objects": [{"words": "dog", "boxes": [[0, 0, 3, 1]]}]},
            "less than or equal",
        ),
        (
            ["--scenes", "1", "--boxes", "2"],
            {"objects": [{"words": "dog", "boxes": [[0, 0, 1, 1]]}]},
            "1 boxes were given",
        ),
    ],
)
def test_answers_of_another_form_are_asked_again_some_times_and_then_refused(plan, tmp_path, flags, answer, wrong):
    with chat_server(answering(answer)) as server:
        code, line = plan(server, *flags)
    assert code == 1
    assert len(server.bodies) == TRIES
    assert re.search(wrong, line)
    assert len(line.strip().splitlines()) == 1
    assert wrong in server.bodies[-1]["messages"][-1]["content"]  # the model is told what was wrong
    assert not list(tmp_path.glob("*.toml"))
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_a_second_answer_in_the_form_is_taken_even_in_a_code_block(plan):
    with chat_server(answering("no", f"```json\n{json.dumps(SCENES)}\n```")) as server:
        assert plan(server, "--scenes", "2")[0] == 0
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (["--boxes", "2", "--moments", "2"], "say one of them"),
        (["-o", "board.json"], "a TOML file"),
        (["-o", "none/board.toml"], "no folder"),
        (["--endpoint", "nowhere"], "an endpoint is"),
        (["-p", " "], "is empty"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(plan, more, wrong):
    with chat_server(answering(SCENES)) as server:
        code, line = plan(server, *more)
    assert (code, server.bodies) == (2, [])
    assert wrong in line


def test_another_planner_serves_as_well():
    class Fixed:
        def __call__(self, _question, form, *, context=None):
            return form.model_validate(SCENES, context=context)

    planner = LanguagePlanner(Fixed())
    assert isinstance(planner, Planner)
    texts = planned("a dog", planner, PlanSettings(scenes=2), "dog.toml")
    assert [*texts] == ["dog.toml"]
    assert "runs through snow" in texts["dog.toml"]
    assert ChatEndpoint("http://localhost/v1", "m").name == "m at localhost"
