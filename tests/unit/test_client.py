"""The client where a server goes away: a job is waited for, a result is whole or not there, a refusal says why."""

import threading
import time
from contextlib import closing, contextmanager
from socket import create_server

import pytest

pytest.importorskip("fastapi")

from recast.app.client import Client, ClientJob
from recast.app.config import ServeConfig
from recast.errors import RecastError, RequestError
from recast.jobs.store import JobStore
from recast.jobs.stored import JobState
from served import free_port, serving

DOCUMENT = {"words": [["snow", 1.0]], "target": "results/a/edited.mp4"}


def test_a_job_is_waited_for_though_its_server_is_started_again(tmp_path):
    config = ServeConfig(tmp_path / "data", port=free_port())
    store = JobStore(config.data / "jobs.sqlite")
    [number] = store.add([DOCUMENT])
    ends, moved = [], threading.Event()
    with serving(config) as url:
        job = ClientJob(Client(f"{url}/"), store.job(number).key)
        taken = store.take("w")
        store.beat(taken, "denoising", 1, 2)
        waiting = threading.Thread(target=lambda: ends.append(job.wait(lambda *_: moved.set())))
        waiting.start()
        assert moved.wait(20)
    time.sleep(0.2)
    with serving(config):
        store.make(taken, {"frames": 2})
        store.finish(taken, JobState.DONE)
        waiting.join(20)
    assert [end["state"] for end in ends] == ["done"]


def test_a_job_that_is_deleted_while_it_is_waited_for_is_said_to_be_gone(tmp_path):
    config = ServeConfig(tmp_path / "data", port=free_port())
    store = JobStore(config.data / "jobs.sqlite")
    [number] = store.add([DOCUMENT])
    with serving(config) as url:
        threading.Timer(0.5, lambda: store.remove(number)).start()
        with pytest.raises(RequestError, match="no such job"):
            ClientJob(Client(url), store.job(number).key).wait()


@contextmanager
def answering(reply):
    """The address of one that answers one request with these bytes, and hangs up."""
    with closing(create_server(("127.0.0.1", 0))) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("reply", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"", b"nonsense\r\n\r\n"])
def test_a_result_that_breaks_off_leaves_no_file(tmp_path, reply):
    with answering(reply) as url, pytest.raises(RecastError, match="broke off"):
        ClientJob(Client(url), "a").download(tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_a_large_file_that_is_refused_says_why(tmp_path):
    (large := tmp_path / "large.mp4").write_bytes(bytes(2**24))
    (odd := tmp_path / "b\udcff.mp4").write_bytes(b"x")
    with serving(ServeConfig(tmp_path / "data", port=free_port(), token="a" * 20)) as url:
        with pytest.raises(RequestError, match="Authorization: Bearer"):
            Client(url, "b" * 20).send(large)
        with pytest.raises(RequestError, match="not a video"):
            Client(url, "a" * 20).send(odd)
