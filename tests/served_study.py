"""`recast study serve` as a process of its own, which tests kill."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


def free_port() -> int:
    """A port that nothing listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return found.getsockname()[1]


@contextmanager
def served_study(folder: Path, port: int) -> Iterator[str]:
    """Its address while the block runs; killed then, as by a power cut."""
    command = [sys.executable, "-m", "recast", "study", "serve", str(folder), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _await(url, process)
            yield url
        finally:
            process.kill()


def _await(url: str, process: subprocess.Popen) -> None:
    while True:
        try:
            urlopen(f"{url}/api/v1/study", timeout=5).close()
            return
        except URLError:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
