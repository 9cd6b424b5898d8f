"""What `recast serve` answers to the page: clips to be shown, frames, one stream of all jobs, a cookie."""

import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from io import BytesIO
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi")

from PIL import Image

from recast.app.client import Client
from recast.app.config import ServeConfig
from recast.app.jobs import OWN
from recast.app.making import MOST_WAITING, Making
from recast.app.masks import MOST_FRAMES
from recast.cli.app import run
from recast.editing.request import ALSO_CALLED, FIELDS
from recast.errors import MediaError, RequestError
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState
from served import free_port, serving

TOKEN = "0123456789abcdef"


@pytest.fixture
def config(tmp_path):
    return ServeConfig(tmp_path / "data", port=free_port(), token=TOKEN)


@pytest.fixture
def server(config):
    with serving(config) as url:
        yield Client(url, TOKEN)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "world.mp4"
    assert run(["world", "--seed", "3", "--frames", "4", "--size", "64x40", "-o", str(path), "-q"]) == 0
    return path


def asked(server, path, method="GET", **headers):
    """Status, headers and body of an answer to headers of the test's own."""
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=30)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_the_page_is_shown_without_a_token_and_nothing_else_is(server):
    status, headers, body = asked(server, "/")
    assert (status, headers["Cache-Control"]) == (200, "no-cache")
    assert "trusted-types 'none'" in headers["Content-Security-Policy"]
    assert b'src="/page/main.js"' in body
    assert asked(server, "/page/main.js")[0] == 200
    assert asked(server, "/page/../server.py")[0] == 404
    assert asked(server, "/page/%2e%2e/server.py")[0] == 404
    assert asked(server, "/api/v1/jobs")[0] == 401


def test_a_cookie_stands_for_the_token_but_not_for_the_header_of_changes(server):
    shown = {"X-Recast": "1", "Authorization": f"Bearer {TOKEN}"}
    status, headers, _ = asked(server, "/api/v1/session", "POST", **shown)
    cookie = headers["Set-Cookie"]
    assert (status, TOKEN in cookie) == (204, False)
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    own = cookie.partition(";")[0]
    assert asked(server, "/api/v1/jobs", Cookie=own)[0] == 200
    assert asked(server, "/api/v1/jobs", Cookie=own + "0")[0] == 401
    assert asked(server, "/api/v1/doctor", "POST", Cookie=own)[0] == 403
    assert asked(server, "/api/v1/session", "POST", **{"X-Recast": "1"})[0] == 401


def test_a_clip_comes_back_in_parts_frames_and_a_copy(server, clip):
    number = server.send(clip)
    facts = server.ask("GET", f"/files/{number}")
    assert (facts["frames"], facts["width"], facts["fps"]) == (4, 64, 10)
    mine = {"Authorization": f"Bearer {TOKEN}"}
    status, headers, body = asked(server, f"/api/v1/files/{number}/content", Range="bytes=4-7", **mine)
    assert (status, headers["Content-Type"], body) == (206, "video/mp4", clip.read_bytes()[4:8])
    for seconds, index in ((0, "0"), (0.2, "2"), (99, "3")):
        _, headers, body = asked(server, f"/api/v1/files/{number}/frame?seconds={seconds}&side=20", **mine)
        assert headers["X-Frame"] == index
        assert Image.open(BytesIO(body)).size == (32, 20)
    while (answer := asked(server, f"/api/v1/files/{number}/view", **mine))[0] == 202:
        time.sleep(0.05)
    assert answer[0] == 200
    assert answer[2][4:8] == b"ftyp"


def test_masks_are_refused_before_anything_is_followed(server, config, clip):
    number = server.send(clip)
    with pytest.raises(RequestError, match="there is no such file"):
        server.ask("POST", f"/files/{number}/mask?still={'0' * 32}")
    facts = config.data / "files" / number / "file.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"frames": MOST_FRAMES + 1}))
    with pytest.raises(RequestError, match=f"{MOST_FRAMES} at most"):
        server.ask("POST", f"/files/{number}/mask?still={number}")


def test_one_stream_tells_of_every_job(server, clip):
    number = server.send(clip)
    first = server.submit_sent(number, prompt=["snow:0.5"], batch="mine", settings={"seed": 3, "strength": 0.5})
    with server.open("GET", "/events") as stream:
        (job,) = news(stream).values()
        assert (job["id"], job["prompt"], job["source"], job["batch"]) == (first.id, ["snow:0.5"], number, "mine")
        assert job["settings"] == {"seed": 3, "strength": 0.5}
        second = server.submit_sent(number, prompt=["sand"])
        assert set(news(stream)) == {second.id}
        first.cancel()
        assert news(stream)[first.id]["state"] == "cancelled"
        server.open("DELETE", f"/jobs/{first.id}").close()
        assert news(stream) == {first.id: None}
    assert [each["id"] for each in server.jobs()] == [second.id]


def news(stream):
    for line in stream:
        if line.startswith(b"data: "):
            return json.loads(line[6:])
    raise AssertionError("the stream ended")


def test_two_hundred_tabs_hear_of_a_job(server, clip):
    with ExitStack() as tabs:
        streams = [tabs.enter_context(server.open("GET", "/events")) for _ in range(200)]
        assert all(news(stream) == {} for stream in streams)
        job = server.submit(clip, prompt=["snow"])
        assert all(set(news(stream)) == {job.id} for stream in streams)


def test_jobs_are_found_by_all_of_their_words_and_deleted_with_their_results(server, config, clip):
    number = server.send(clip)
    job, _ = (server.submit_sent(number, prompt=[words]) for words in ("a red dog", "a red cat"))
    with server.open("GET", "/jobs?search=DOG%20red") as answer:
        assert [each["prompt"] for each in json.load(answer)] == [["a red dog"]]
    store = JobStore(config.data / "jobs.sqlite")
    taken = store.take("worker")
    made = config.data / taken.document["target"]
    made.write_bytes(b"the result")
    store.finish(taken, JobState.DONE)
    assert taken.key == job.id
    server.open("DELETE", f"/jobs/{job.id}").close()
    assert not made.parent.exists()
    assert len(list((config.data / "results").iterdir())) == 1


def test_no_setting_names_a_file_of_this_machine():
    files = {name for name, field in FIELDS.items() if "Path" in str(field.annotation)}
    assert {"source", "target", "mask"} <= files <= set(OWN)
    assert {other for other, name in ALSO_CALLED.items() if name in OWN} <= set(OWN)


def test_settings_say_what_can_be_chosen(server):
    properties = server.ask("GET", "/settings")["properties"]
    assert {"ddim", "heun"} <= set(properties["scheduler"]["enum"])
    assert not {"source", "target", "mask", "adapters", "overwrite", "fps"} & set(properties)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: server.ask("GET", "/methods"), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["gen1"]["schema"]["properties"]["strength"]["description"]


def test_what_is_made_in_the_background_is_made_once_and_fails_once(tmp_path):
    making, calls = Making(), []

    def fail():
        calls.append(1)
        raise MediaError("no")

    assert making.is_made(tmp_path / "a", fail) is False
    with pytest.raises(MediaError):
        made(making, tmp_path / "a", fail)
    assert calls == [1]
    over = threading.Event()
    for number in range(MOST_WAITING):
        assert making.is_made(tmp_path / str(number), over.wait) is False
    with pytest.raises(RequestError, match=f"{MOST_WAITING} things are being made"):
        making.is_made(tmp_path / "b", over.wait)
    over.set()
    while making.is_being_made(tmp_path / str(MOST_WAITING - 1)):
        time.sleep(0.01)
    made(making, tmp_path / "b", lambda: (tmp_path / "b").write_text("b"))
    assert not making.is_being_made(tmp_path / "b")


def test_what_many_ask_for_in_one_moment_is_made_once(tmp_path):
    making, calls = Making(), Counter()
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet half-way in what they ask

    def make(target):
        calls[target] += 1
        target.write_text("made")

    try:
        with ThreadPoolExecutor(8) as threads:
            for number in range(40):
                target = tmp_path / str(number)
                list(threads.map(lambda _, each=target: making.is_made(each, lambda: make(each)), range(16)))
                made(making, target, lambda each=target: make(each))
    finally:
        sys.setswitchinterval(often)
    assert set(calls.values()) == {1}, calls


def made(making, target, make):
    while not making.is_made(target, make):
        time.sleep(0.01)
