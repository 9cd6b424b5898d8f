"""A server in a thread of the test's own process, and a worker beside it."""

import os
import socket
import threading
import time
from contextlib import closing, contextmanager

import uvicorn

from recast.app.server import application
from recast.editing.queued import EditHandler
from recast.errors import Preempted
from recast.jobs.store import JobStore
from recast.jobs.worker import Worker


@contextmanager
def serving(config):
    """The address of a server in a thread of this process; it starts no worker."""
    with closing(socket.create_server(("127.0.0.1", config.port))) as listening:
        server = uvicorn.Server(uvicorn.Config(application(config), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{config.port}"
        finally:
            server.should_exit = True
            thread.join()


def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


@contextmanager
def working(config):
    """A worker of the server's queue in a thread; it stands in the data folder, as those of `recast serve` do."""
    before, over = os.getcwd(), threading.Event()

    def watch(*_):
        if over.is_set():
            raise Preempted("the test is over")

    def work():
        try:
            Worker(JobStore(config.data / "jobs.sqlite"), EditHandler(), idle_seconds=0.05).run(watch)
        except Preempted:
            return

    thread = threading.Thread(target=work)
    os.chdir(config.data)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        os.chdir(before)
