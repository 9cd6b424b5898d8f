"""What a decoding process may do: three handles beside the standard ones, and so much memory."""

import os
import resource
from pathlib import Path

from recast.video.ffmpeg_log import ErrorLines

FILE, PIPE, ERRORS = 3, 4, 5
"""Handles of a child, besides the standard three."""
OPENING_BYTES = 2**28
BYTES_A_PIXEL = 96
"""Address space that decoding may take on top: reference frames, those of each thread, and the converter's."""


class Limits:
    """What a child may do, set before it reads a byte of the file. errors: FFmpeg's reports, counted.

    address_bytes: what it had mapped before.
    """

    def __init__(self) -> None:
        self.errors = ErrorLines()
        held = Path("/proc/self/statm")
        self.address_bytes = int(held.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if held.exists() else 0
        self.for_pixels(0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        # All places below are taken: no file, pipe or socket can be opened from here on, by whatever code.
        resource.setrlimit(resource.RLIMIT_NOFILE, (ERRORS + 1, ERRORS + 1))

    def for_pixels(self, count: int) -> None:
        """Sets how much memory may be taken to decode pictures of so many pixels; 0: to find out how many."""
        if self.address_bytes:
            most = self.address_bytes + OPENING_BYTES + BYTES_A_PIXEL * count
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def settled(file: int, pipe: int) -> Limits:
    """Puts the handles in their places, closes all others, and limits the process."""
    beyond = max(file, pipe, ERRORS) + 1
    high = [os.dup2(file, beyond), os.dup2(pipe, beyond + 1)]
    os.closerange(FILE, beyond)
    for handle, place in zip(high, (FILE, PIPE), strict=True):
        os.dup2(handle, place)
        os.close(handle)
    os.closerange(ERRORS, beyond + 2)
    return Limits()
