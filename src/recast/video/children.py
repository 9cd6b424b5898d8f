"""The side of decoding processes that waits: starts the process that forks them, hands it files, reads their pipes."""

import atexit
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from threading import Lock

import numpy as np
from jaxtyping import UInt8

STALL_SECONDS = 60
"""The longest that a decoding process may say nothing while it is waited for."""
PIPE_BYTES = 2**20


class Pipe:
    """Reads so many bytes at a time from a pipe, with patience for `STALL_SECONDS`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._poll = select.poll()
        self._poll.register(handle, select.POLLIN)

    def read(self, size: int) -> UInt8[np.ndarray, " n"]:
        """Exactly `size` bytes. Raises EOFError where the writer ended first, TimeoutError where it says nothing."""
        body = np.empty(size, np.uint8)
        rest = body.data
        while rest:
            if not self._poll.poll(1000 * STALL_SECONDS):
                raise TimeoutError(f"nothing came for {STALL_SECONDS} seconds")
            count = os.readv(self._handle, [rest])
            if not count:
                raise EOFError
            rest = rest[count:]
        return body


class DecodingServer:
    """The process that forks a child for each file. It starts with the first file, and ends with this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner = 0
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def child(self, request: bytes, file: BufferedReader) -> Iterator[int]:
        """The pipe of a child that works on the request, which is killed when the block ends."""
        reading, writing = os.pipe()
        lifeline, end = os.pipe()
        try:
            try:
                _widen(reading)
                self._send(request, [file.fileno(), writing, lifeline])
            finally:
                os.close(writing)
                os.close(lifeline)
            yield reading
        finally:
            os.close(reading)
            os.close(end)

    def _send(self, request: bytes, handles: list[int]) -> None:
        with self._lock:
            try:
                _send(self._running(), request, handles)
            except OSError:  # it was killed
                self._stop()
                _send(self._running(), request, handles)

    def _running(self) -> socket.socket:
        # A fork of this process must not talk into its parent's conversation.
        if self._channel is None or self._owner != os.getpid():
            ours, theirs = socket.socketpair()
            with theirs:
                command = [sys.executable, "-m", "recast.video.forked", str(theirs.fileno())]
                # A new session: Ctrl-C is for who waits, and reaches the children by way of them.
                self._process = subprocess.Popen(
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=_environment(),
                    start_new_session=True,
                )
            self._owner, self._channel = os.getpid(), ours
            atexit.register(self._stop)
        return self._channel

    def _stop(self) -> None:
        if self._channel is None or self._owner != os.getpid():
            return
        self._channel.close()
        self._channel = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)


def _environment() -> dict[str, str]:
    """Where Python finds its modules, and nothing else of this process's environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MALLOC_ARENA_MAX": "2"}


def _send(channel: socket.socket, request: bytes, handles: list[int]) -> None:
    socket.send_fds(channel, [len(request).to_bytes(4, "little")], handles)
    channel.sendall(request)


def _widen(pipe: int) -> None:
    # Fewer turns between the processes; a system may allow less, or have no such call.
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
