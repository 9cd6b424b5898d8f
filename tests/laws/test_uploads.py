"""Uploads that are too large, broken off, malformed, from other sites or slow: refused, not kept, in little memory."""

import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from recast.app.client import Client
from recast.app.files import CHUNK_SECONDS
from recast.errors import RecastError
from served import free_port

MOST = 2**24
"""Bytes of a file that the server takes."""
SERVER = """
import sys
from pathlib import Path
from recast.app.config import ServeConfig
from recast.app.server import serve
serve(ServeConfig(Path(sys.argv[1]), port=int(sys.argv[2]), most_upload_bytes=int(sys.argv[3]), workers=0))
"""
OWN = {"X-Recast": "1"}
FLAT_KIB = 8 * 1024
"""What the server's memory may grow by: a fraction of one of the files."""
SENDERS = 40


class Served:
    """A server in a process of its own, whose memory can be looked at."""

    def __init__(self, folder, port, process):
        self.files, self.port, self.process = folder / "files", port, process

    def memory(self):
        """KiB that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def asked(self, headers, body=None):
        """The status and the end of the answer to a POST of a file."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.putrequest("POST", "/api/v1/files?name=a.mp4", skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            try:
                for block in body or ():
                    connection.send(block)
            except OSError:  # it has answered and hung up
                pass
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def raw(self, text):
        """A connection that has sent this, of which more may follow."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=2 * CHUNK_SECONDS)
        opened.sendall(text.replace("\n", "\r\n").encode())
        return opened

    def kept(self):
        """What is left of uploads."""
        return list(self.files.glob("*")) if self.files.exists() else []


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with run_server(tmp_path_factory.mktemp("served")) as served:
        yield served


@contextmanager
def run_server(folder):
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(folder), str(port), str(MOST)]
    with subprocess.Popen(command) as process:
        try:
            while True:
                try:
                    Client(f"http://127.0.0.1:{port}").ask("GET", "/health")
                    break
                except RecastError:
                    assert process.poll() is None
                    time.sleep(0.05)
            yield Served(folder, port, process)
        finally:
            process.terminate()


def chunks(count, size=2**16):
    block = b"x" * size
    for _ in range(count):
        yield b"%x\r\n%s\r\n" % (size, block)
    yield b"0\r\n\r\n"


def test_what_is_too_large_is_refused_and_the_memory_stays_flat(server):
    server.asked(OWN | {"Content-Length": "3"}, [b"abc"])  # what is imported at the first file is there
    before, most = server.memory(), 0
    for _ in range(3):
        status, why = server.asked(OWN | {"Transfer-Encoding": "chunked"}, chunks(2 * MOST // 2**16))
        assert (status, f"at most {MOST} bytes" in why) == (413, True)
        most = max(most, server.memory())
    assert server.asked(OWN | {"Transfer-Encoding": "chunked"}, chunks(MOST // 2**16))[0] == 415  # it fits: no video
    assert max(most, server.memory()) - before < FLAT_KIB
    assert server.kept() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"X-Recast": ""},
    ],
)
def test_other_sites_are_refused_before_a_byte_of_the_body_is_read(server, headers):
    own = OWN | {"Content-Length": str(10**9)}
    assert server.asked({name: value for name, value in (own | headers).items() if value})[0] == 403
    assert server.kept() == []


@pytest.mark.parametrize(
    "rest",
    [
        "Content-Length: -5\n\n",
        "Content-Length: many\n\n",
        "Content-Length: 4\nContent-Length: 5\n\nabcde",
        "Transfer-Encoding: chunked\n\nzz\nabc\n",
        "Transfer-Encoding: gzip, chunked\n\n0\n\n",
        "X: " + "y" * 100_000 + "\n\n",
    ],
)
def test_a_malformed_request_is_answered_400_or_hung_up_on(server, rest):
    head = f"POST /api/v1/files?name=a.mp4 HTTP/1.1\nHost: 127.0.0.1:{server.port}\nX-Recast: 1\n"
    with closing(server.raw(head + rest)) as connection:
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(2**16)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or re.match(rb"HTTP/1.1 (400|415|422|431|501) ", answer)
    assert Client(f"http://127.0.0.1:{server.port}").ask("GET", "/health")["status"] == "ok"


def test_a_file_that_breaks_off_is_not_kept(server):
    head = f"POST /api/v1/files?name=a.mp4 HTTP/1.1\nHost: 127.0.0.1:{server.port}\nX-Recast: 1\nContent-Length: 99\n\n"
    with closing(server.raw(head + "a part of it")):
        while not server.kept():
            time.sleep(0.02)
    while server.kept():
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_senders_that_say_nothing_hinder_nobody_and_are_refused(server):
    head = f"POST /api/v1/files?name=a.mp4 HTTP/1.1\nHost: 127.0.0.1:{server.port}\nX-Recast: 1\nContent-Length: 99\n\n"
    before = server.memory()
    with ExitStack() as held:
        slow = [held.enter_context(closing(server.raw(head + "a"))) for _ in range(SENDERS)]
        while len(server.kept()) < SENDERS:
            time.sleep(0.05)
        assert server.asked(OWN | {"Content-Length": "3"}, [b"abc"])[0] == 415
        for connection in slow:
            answer = connection.recv(2**16)
            assert answer.startswith(b"HTTP/1.1 422 ")
    assert server.kept() == []
    assert server.memory() - before < FLAT_KIB
