"""FFmpeg's own reports of errors, counted: it writes them itself to the process's second stream, without Python."""

import os
from contextlib import suppress

import av.logging

HARMLESS = b"whitelist"
"""Streams that recast does not read (subtitles, data) are reported as off the list of codecs."""
BLOCK_BYTES = 65_536


class ErrorLines:
    """The lines of level error since it was made. It takes the second stream of a process of its own over for good.

    FFmpeg's own messages of that level were silent on all whole files of odd kinds that we have (docs/log.md).
    """

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        # A decoder that says more than the pipe holds must go on: what does not fit is dropped.
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        os.dup2(writing, 2)
        os.close(writing)
        av.logging.set_libav_level(av.logging.ERROR)
        av.logging.restore_default_callback()
        self._count, self._rest = 0, b""

    def __call__(self) -> int:
        """How many there were."""
        with suppress(BlockingIOError):
            while block := os.read(self._reading, BLOCK_BYTES):
                *lines, self._rest = (self._rest + block).split(b"\n")
                self._count += sum(bool(line.strip()) and HARMLESS not in line for line in lines)
        return self._count

    def clear(self) -> None:
        """Forgets them."""
        self()
        self._count = 0
