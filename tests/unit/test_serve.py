"""`recast serve`: the way of a clip over HTTP, what is refused, and what clients never see."""

import json
import threading
from itertools import product
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from recast.app.client import Client
from recast.app.config import ServeConfig
from recast.app.guard import refused
from recast.cli.app import run
from recast.editing.queued import EditHandler
from recast.errors import RecastError, RequestError
from recast.jobs.store import JobStore
from recast.jobs.worker import Worker
from served import free_port, serving
from tiny_folder import clip_folder, written

TOKEN = "a token that nobody guesses"


@pytest.fixture
def config(tmp_path):
    return ServeConfig(tmp_path / "data", port=free_port(), token=TOKEN, most_upload_bytes=10**6, most_jobs=3)


@pytest.fixture
def client(config):
    with serving(config) as url:
        yield Client(url, TOKEN)


@pytest.fixture
def clip(tmp_path):
    source = clip_folder(tmp_path / "clip")
    assert run(["structure", str(source), "-m", str(written(tmp_path / "model")), "-o", str(tmp_path / "a.mp4")]) == 0
    return tmp_path / "a.mp4"


def work(config, handler=None):
    worker = Worker(JobStore(config.data / "jobs.sqlite"), handler or EditHandler(), idle_seconds=0.02)
    worker.run(lambda *_: None, until_empty=True)


def test_a_clip_goes_there_and_its_edit_comes_back(client, config, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(config.data)  # as workers do
    job = client.submit(clip, prompt=["a snowy field"], settings={"method": "sdedit", "steps": 1, "size": 64})
    assert job.view()["state"] == "queued"
    worker = threading.Thread(target=work, args=(config,))
    worker.start()
    seen = []
    done = job.wait(lambda stage, *_: seen.append(stage))
    worker.join()
    assert (done["state"], done["frames"]) == ("done", 5)
    back = job.download(tmp_path / "back.mp4")
    assert str(tmp_path).encode() not in back.read_bytes()
    monkeypatch.chdir("/")
    assert run(["info", str(back), "--json"]) == 0
    assert str(tmp_path) not in json.dumps(client.jobs())


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"prompt": ["snow"], "settings": {"source": "/etc/passwd"}}, "source is no setting here"),
        ({"prompt": ["snow"], "settings": {"mask": "/etc/passwd"}}, "mask is no setting here"),
        ({"prompt": ["snow"], "model": "/etc"}, "there is no model '/etc'"),
        ({"prompt": ["snow"], "format": "../x"}, "there is no format"),
        ({"prompt": ["snow"], "settings": {"sed": 1}}, "there is no setting 'sed'"),
        ({"prompt": [" "]}, "prompt"),
        ({"prompt": ["x" * 3000]}, "at most 2000"),
        (
            {"prompt": ["snow"], "settings": {"schedules": {"cfg": "sound(loudness of /etc/passwd, 0..1)"}}},
            "a sound here",
        ),
        ({"prompt": ["snow"], "settings": {"schedules": ["image=0: /etc/passwd"]}}, "pictures with a schedule"),
        ({}, "nothing says what the clip should look like"),
        ({"prompt": ["snow"], "mask": "0" * 32}, "there is no such file"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(client, config, clip, document, message):
    with pytest.raises(RequestError, match=message):
        client.submit(clip, **document)
    assert client.jobs() == []
    assert not list((config.data / "results").glob("*"))


def test_files_that_are_no_pictures_are_refused_and_not_kept(client, config, tmp_path):
    for name, body in {"a.mp4": b"<svg></svg>", "b.png": b"", "c.mp4": b"x" * (10**6 + 1)}.items():
        (tmp_path / name).write_bytes(body)
        with pytest.raises(RequestError) as refusal:
            client.send(tmp_path / name)
        assert str(tmp_path) not in str(refusal.value)
    assert not list((config.data / "files").glob("*"))


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "../jobs.sqlite", "0" * 32, "A" * 32, "%00" + "0" * 31, "con", "a" * 999]
)
def test_no_name_of_a_file_leads_anywhere(client, name):
    with pytest.raises(RequestError):
        client.ask("GET", f"/files/{name}")


def test_the_queue_has_a_limit_and_jobs_can_be_cancelled(client, clip):
    jobs = [client.submit(clip, prompt=["snow"]) for _ in range(3)]
    with pytest.raises(RequestError, match="3 jobs wait already"):
        client.submit(clip, prompt=["snow"])
    assert jobs[0].cancel()["state"] == "cancelled"
    with pytest.raises(RecastError, match="the job is cancelled"):
        jobs[0].wait()
    assert client.ask("POST", f"/jobs/{jobs[0].id}/retry")["state"] == "queued"


def test_tables_health_and_metrics(client):
    assert set(json.load(client.open("GET", "/models"))) == {"pocket", "pocket-words"}
    methods = client.ask("GET", "/methods")
    assert "strength" in methods["sdedit"]["schema"]["properties"]
    assert client.ask("GET", "/health")["status"] == "ok"
    with client.open("GET", "/metrics") as answer:
        assert b'recast_jobs{state="queued"} 0' in answer.read()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


HOSTS = {"127.0.0.1:7860": True, "localhost:7860": True, "[::1]:7860": True, "recast.lan": True}
HOSTS |= dict.fromkeys(["127.0.0.1", "127.0.0.1:80", "evil.com", "127.0.0.1:7860.evil.com", "", None], False)
ORIGINS = {None: True, "own": True} | dict.fromkeys(["null", "https://evil.com", "http://127.0.0.1:80"], False)
METHODS = {"GET": True, "POST": False}
TOKENS = {TOKEN: True, None: False, TOKEN[:-1]: False, TOKEN + "x": False}


@pytest.mark.parametrize("site", [None, "same-origin", "none", "same-site", "cross-site"])
def test_every_cell_of_host_origin_method_and_token(site):
    config = ServeConfig(Path("data"), token=TOKEN, allowed_hosts=("recast.lan",))
    for host, origin, method, token, own in product(HOSTS, ORIGINS, METHODS, TOKENS, (True, False)):
        headers = {
            "host": host,
            "origin": f"http://{host}" if origin == "own" else origin,
            "sec-fetch-site": site,
            "authorization": token and f"Bearer {token}",
            "x-recast": "1" if own else None,
        }
        given = {name: [value] for name, value in headers.items() if value is not None}
        allowed = HOSTS[host] and ORIGINS[origin] and TOKENS[token] and (METHODS[method] or own)
        allowed = allowed and site not in ("same-site", "cross-site")
        assert (refused(method, "/api/v1/jobs", given, config) is None) == allowed, given


def test_a_server_for_others_wants_a_token_and_its_names():
    assert run(["serve", "--host", "0.0.0.0", "--workers", "0"]) == 2
    with pytest.raises(RequestError, match="can be reached from other machines"):
        ServeConfig(Path("data"), "0.0.0.0", token=TOKEN)
    with pytest.raises(RequestError, match="the token has 5 characters"):
        ServeConfig(Path("data"), token="short")


def test_what_is_wrong_with_a_schedule_is_told_by_its_setting_before_a_job_is_queued(client, clip):
    sent = client.send(clip)
    wrong = {
        "words": ("9: a, 0s: b", "frames that rise"),
        "cfg": ("0: 1, 4: high", "it should be a number"),
        "strength": ("0: 1, 4: 0.5", ""),
        "model": ("0: 1", "there is no setting with a schedule 'model'"),
    }
    texts = {name: text for name, (text, _) in wrong.items()}
    document = json.dumps({"source": sent, "settings": {"schedules": texts, "method": "gen1"}}).encode()
    errors = client.ask("POST", "/schedules", document, len(document))
    assert set(errors) == {name for name, (_, message) in wrong.items() if message}
    for name, message in errors.items():
        assert wrong[name][1] in message
    with pytest.raises(RequestError, match="frames that rise"):
        client.submit_sent(sent, settings={"schedules": {"words": texts["words"]}})
    with pytest.raises(RequestError, match="rave takes one cfg for all frames"):
        client.submit_sent(sent, prompt=["a"], settings={"method": "rave", "schedules": {"cfg": "0: 1, 4: 2"}})
    document = json.dumps({"source": sent, "settings": {"schedules": ["cfg=0: 1"]}}).encode()
    with pytest.raises(RequestError, match="schedules are texts by setting"):
        client.ask("POST", "/schedules", document, len(document))
    assert client.jobs() == []
