"""What no client could read is refused, and where it is in the queue all the same, jobs can be listed."""

import json
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi")

from recast.app.client import Client
from recast.app.config import ServeConfig
from recast.cli.app import run
from recast.errors import RequestError
from recast.jobs.store import JobStore
from served import free_port, serving


@pytest.fixture
def config(tmp_path):
    return ServeConfig(tmp_path / "data", port=free_port())


@pytest.fixture
def client(config):
    with serving(config) as url:
        yield Client(url)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ('{"zz": NaN}', "a number that is not finite"),
        ('{"zz": [{"a": -1e999}]}', "a number that is not finite"),
        ('{"method": "\\ud800"}', "text that is no Unicode"),
        ('{"\\udfff": 1}', "text that is no Unicode"),
        (f'{{"zz": {"[" * 40}{"]" * 40}}}', "at most 16 lists"),
    ],
)
def test_settings_that_cannot_be_shown_are_refused(client, wrong, why):
    document = f'{{"source": "{"0" * 32}", "prompt": ["snow"], "settings": {wrong}}}'.encode()
    for path in ("/jobs", "/schedules"):
        with pytest.raises(RequestError, match=why):
            client.ask("POST", path, document, len(document))


def test_jobs_of_the_command_line_with_odd_bytes_are_listed(client, config):
    document = {
        "source": "b\udcff.mp4",
        "target": "o.mp4",
        "words": [["sn\udcffow", 1.0]],
        "knobs": {"x": float("nan")},
    }
    [number] = (store := JobStore(config.data / "jobs.sqlite")).add([document])
    [job] = client.jobs()
    assert (job["prompt"], job["settings"]) == (["sn?ow"], {"x": None})
    with client.open("GET", "/events") as answer:
        shown = json.loads(
            answer.readline().removeprefix(b"data: "), parse_constant=lambda text: pytest.fail(f"{text} is not JSON")
        )
    assert shown == {store.job(number).key: job}


def test_whatever_is_refused_says_why_under_one_name(client):
    asked = [("GET", "/nowhere", None), ("PUT", "/api/v1/jobs", b"{}"), ("POST", "/api/v1/jobs", b"{")]
    with closing(HTTPConnection(urlsplit(client.url).netloc)) as connection:
        for method, path, body in asked:
            connection.request(method, path, body, {"X-Recast": "1", "Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status in (404, 405, 422)
            assert set(json.load(answer)) == {"error"}


def test_a_number_that_no_job_can_have_is_refused(tmp_path, capsys):
    for command in ("show", "cancel", "retry", "rm"):
        assert run(["queue", command, str(10**30), "--data-dir", str(tmp_path)]) == 2
        assert "should not" not in capsys.readouterr().err
