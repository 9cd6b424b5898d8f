"""Jobs that come before torch is there: queued at once, to the same documents, and refused by their worker."""

import subprocess
import sys
from contextlib import closing
from socket import create_server

import pytest

pytest.importorskip("fastapi")

from recast.app.abilities import Abilities
from recast.app.client import Client
from recast.app.config import ServeConfig
from recast.app.files import UserFiles
from recast.app.jobs import JobDesk, JobRequest, view
from recast.app.making import Making
from recast.app.unchecked import Checks, unchecked
from recast.cli.app import run
from recast.editing.queued import EditHandler, document_of
from recast.editing.request import Request
from recast.errors import RequestError
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState
from recast.jobs.worker import Worker
from served import serving

SETTINGS = {"num_inference_steps": 1, "size": "64", "method": "sdedit", "strength": 0.5, "knobs": {"guided_from": 0.1}}
IMPORTED = "import sys; import recast.app.server; assert 'torch' not in sys.modules"


def port():
    with closing(create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


@pytest.fixture
def sent(tmp_path):
    clip = tmp_path / "a.mp4"
    assert run(["world", "--frames", "2", "--size", "64x40", "-o", str(clip), "-q"]) == 0
    with serving(ServeConfig(tmp_path / "data", port=port())) as url:
        return Client(url).send(clip)


@pytest.fixture
def desk(tmp_path, sent):
    """Of a server in which nothing is imported yet: its checks were begun, and do not come."""
    data, checks = tmp_path / "data", Checks()
    checks._begun.acquire()
    asked = JobRequest(source=sent, prompt=["snow:0.5"], settings=SETTINGS)
    return JobDesk(data, UserFiles(data / "files", 10**6), Abilities(data / "abilities", Making()), checks), asked


def test_a_document_that_is_not_checked_is_that_of_a_right_request(tmp_path):
    asked = {"source": tmp_path / "a.mp4", "words": ["snow:0.5", "a dog"], "schedules": {"cfg": "0: 1, 9: 2"}}
    wishes = asked | {"num_inference_steps": 3, "size": "64x40", "method": "sdedit", "knobs": {"guided_from": 0.1}}
    whole = document_of(Request.asked(**wishes, strength=0.5, target=tmp_path / "b.mp4"))
    assert unchecked(wishes | {"strength": 0.5}, tmp_path / "b.mp4") == whole


@pytest.mark.parametrize("wrong", [{"seed": "high"}, {"method": 5}, {"words": [" "]}, {"knobs": [1]}, {"size": [1]}])
def test_values_of_the_wrong_kind_are_refused_without_the_checks(tmp_path, wrong):
    with pytest.raises(RequestError):
        unchecked({"source": tmp_path / "a.mp4"} | wrong, tmp_path / "b.mp4")


def test_the_server_needs_no_torch_to_take_a_job():
    subprocess.run([sys.executable, "-c", IMPORTED], check=True)


def test_a_job_is_queued_before_its_checks_are_there_and_done_or_refused_by_its_worker(desk, tmp_path, monkeypatch):
    desk, asked = desk
    store = JobStore(tmp_path / "data" / "jobs.sqlite")
    nonsense = asked.model_copy(update={"settings": {"method": "nonsense"}})
    store.add([desk.document(each) for each in (nonsense, asked)])
    assert [view(job).method for job in store.jobs()] == ["nonsense", "sdedit"]
    monkeypatch.chdir(tmp_path / "data")
    Worker(store, EditHandler(), idle_seconds=0.02).run(lambda *_: None, until_empty=True)
    refused, done = store.jobs()
    assert (refused.state, done.state) == (JobState.FAILED, JobState.DONE)
    assert "there is no method 'nonsense'" in refused.error
    assert sorted(path.name for path in (tmp_path / "data" / "results").glob("*/*")) == ["edited.mp4"]


def test_a_public_model_keeps_its_name_in_a_job(tmp_path):
    request = Request.asked(source=tmp_path / "a.mp4", target=tmp_path / "b.mp4", words=["a"], model="gen1-zero")
    assert document_of(request)["model"] == "gen1-zero"


def test_a_worker_whose_server_has_gone_ends_before_it_imports_torch(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "recast", "worker", "--while-stdin", "--data-dir", tmp_path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert "typer" in imported
    assert "torch" not in imported
