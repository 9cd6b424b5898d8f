"""Yes/no questions to a vision-language endpoint: what it is shown, what its answers become, and when none is asked."""

import base64
import io
import json
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from chat_server import chat_server
from recast import evaluate
from recast.cli.app import run
from recast.errors import RequestError
from recast.evaluation.endpoint import ChatEndpoint
from recast.evaluation.suites.suite_file import SuiteFile
from recast.evaluation.vision_judge import EndpointJudge, VisionJudge, asked_scores
from recast.types import Clip
from recast.video.write import save_clip


def plain(colour, frames=6):
    shade = torch.tensor(colour, dtype=torch.uint8)[None, :, None, None]
    return shade.expand(frames, 3, 64, 64).contiguous()


RED, BLUE = plain((200, 20, 20)), plain((20, 20, 200))


def looked(body):
    """An endpoint that looks: red or blue is what most of the pictures is, and its answer is honest."""
    text, *pictures = body["messages"][0]["content"]
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(each["image_url"]["url"].partition("base64,")[2]))))
        for each in pictures
    ]
    seen = "red" if np.mean(shown, axis=(0, 1, 2)).argmax() == 0 else "blue"
    question = text["text"]
    if "Which describes" in question:
        first = re.search(r"A: (.*) B: ", question)[1]
        return json.dumps({"answer": "A" if seen in first else "B"})
    return json.dumps({"answer": "yes" if seen in re.search(r"show this: (.*)\?", question)[1] else "no"})


def test_an_edit_is_right_where_the_target_is_seen_and_the_source_is_not():
    with chat_server(looked) as server:
        judge = EndpointJudge(ChatEndpoint(server.url, "seer"))
        assert isinstance(judge, VisionJudge)
        asked = {
            name: asked_scores(judge, frames, "a blue wall", "a red wall") for name, frames in (("r", RED), ("b", BLUE))
        }
        assert asked == {"r": {"asked": 0, "picked": 0}, "b": {"asked": 1, "picked": 1}}
        assert asked_scores(judge, BLUE, "a blue wall", "a blue car")["asked"] == 0  # the source is still there
        assert asked_scores(judge, RED, "a red wall", None) == {"asked": 1}
        assert [each["type"] for each in server.bodies[0]["messages"][0]["content"]] == ["text", *["image_url"] * 4]
        server.answer = lambda body: looked(body) if "Which" not in str(body) else '{"answer": "A"}'
        assert asked_scores(judge, BLUE, "a blue wall", "a red wall")["picked"] == 0  # it says A whatever A is


def test_measurements_ask_only_where_an_endpoint_is_named(tmp_path, capsys):
    for name, frames in (("source", RED), ("edited", BLUE)):
        save_clip(Clip(frames, Fraction(8)), tmp_path / f"{name}.mp4")
    files = ["--source", str(tmp_path / "source.mp4"), "--edited", str(tmp_path / "edited.mp4"), "--json", "-q"]
    words = ["-p", "blue", "--source-prompt", "red"]
    with chat_server(looked) as server:
        assert run(["evaluate", *files, *words]) == 0
        assert server.bodies == []
        assert "asked" not in json.loads(capsys.readouterr().out)["measures"]
        assert run(["evaluate", *files, *words, "--ask", server.url, "--ask-model", "seer"]) == 0
        measures = json.loads(capsys.readouterr().out)["measures"]
        assert {measures[name]["edit"] for name in ("asked", "picked")} == {1.0}
        assert measures["asked"]["by"] == f"seer at {server.url.split('/')[2]}"
        assert str(tmp_path) not in json.dumps(server.bodies)
    with pytest.raises(RequestError, match="questions and preferences are about the words"):
        evaluate(Clip(RED, Fraction(8)), Clip(BLUE, Fraction(8)), ask="http://localhost/v1", ask_model="seer")
    (tmp_path / "suite.toml").write_text('prompts = "a.csv"\nask = "nowhere"\nask_model = "seer"')
    with pytest.raises(RequestError, match="an endpoint is"):
        SuiteFile.opened(tmp_path / "suite.toml")
