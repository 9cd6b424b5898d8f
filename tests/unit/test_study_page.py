"""The study's server: answers are kept through kills, and the page is told nothing of what made a clip."""

import json
import socket
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("fastapi")

from recast.cli.app import run
from recast.evaluation.study.answers import read_answers
from recast.evaluation.study.plan import StudyPlan
from served_study import free_port, served_study
from study_films import WAYS, study_made


def asked(url, method="GET", body=None, **headers):
    """Status and body."""
    data = None if body is None else json.dumps(body).encode()
    given = {"X-Recast": "1", "Content-Type": "application/json"} | headers
    given = {name: value for name, value in given.items() if value}
    try:
        with urlopen(Request(url, data, given, method=method)) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_answers_are_kept_through_a_kill_and_nothing_tells_what_made_a_clip(tmp_path):
    folder = study_made(tmp_path) / "study"
    plan, port = StudyPlan.opened(folder), free_port()
    seat = [name for name, _ in plan.seats[1].items]
    with served_study(folder, port) as url:
        for path in ("", "study.js", "study.css", "api/v1/study", "api/v1/seats/2"):
            status, body = asked(f"{url}/{path}")
            assert status == 200
            assert not any(way.encode() in body for way in WAYS)
        items = json.loads(asked(f"{url}/api/v1/seats/2")[1])
        assert [item["pair"] for item in items] == seat
        assert all(item["answer"] is None for item in items)
        for item, (name, turned) in zip(items, plan.seats[1].items, strict=True):
            films = plan.pair(name).films
            assert (item["left"], item["right"]) == (films[::-1] if turned else films)
        assert (
            asked(f"{url}/clips/{items[0]['left']}.mp4")[1] == (folder / f"clips/{items[0]['left']}.mp4").read_bytes()
        )
        for name, choice in zip(seat[:3], ("left", "right", "same"), strict=True):
            assert asked(f"{url}/api/v1/seats/2/answers/{name}", "PUT", {"choice": choice, "seconds": 2})[0] == 204
        target = f"{url}/api/v1/seats/2/answers/{seat[4]}"
        for status, path, body, headers in (
            (403, target, {"choice": "left"}, {"X-Recast": ""}),
            (403, target, {"choice": "left"}, {"Origin": "http://elsewhere.test"}),
            (403, target, {"choice": "left"}, {"Host": "elsewhere.test"}),
            (422, target, {"choice": "neither"}, {}),
            (404, f"{url}/api/v1/seats/9/answers/{seat[4]}", {"choice": "left"}, {}),
            (404, f"{url}/api/v1/seats/2/answers/00000000", {"choice": "left"}, {}),
        ):
            assert asked(path, "PUT", body, **headers)[0] == status, path
        for path in ("study.json", "answers.jsonl", "clips/00000000.mp4", "clips/..%2fstudy.json", "..%2flist.csv"):
            assert asked(f"{url}/{path}")[0] == 404, path
    with served_study(folder, port) as url:
        items = json.loads(asked(f"{url}/api/v1/seats/2")[1])
        assert [item["answer"] for item in items] == ["left", "right", "same", *[None] * (len(items) - 3)]
        seats = json.loads(asked(f"{url}/api/v1/study")[1])["seats"]
        assert [each["done"] for each in seats] == [0, 3, 0]
    assert [(each.rater, each.pair) for each in read_answers(folder)] == [("seat 2", name) for name in seat[:3]]


def test_a_port_that_is_taken_is_one_line(tmp_path, capsys):
    folder = study_made(tmp_path, raters=1) / "study"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        capsys.readouterr()
        assert run(["study", "serve", str(folder), "--port", str(port)]) == 2
    printed = capsys.readouterr().err
    assert f"port {port} cannot be had" in printed
    assert printed.count("\n") == 1
