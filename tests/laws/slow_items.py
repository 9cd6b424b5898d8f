"""Calls that take minutes, in two processes that leave their numbers in a folder: `slow_items.py FOLDER`."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from recast.jobs.processes import processes


def measured(folder: Path, item: int) -> int:
    (folder / str(os.getpid())).touch()
    time.sleep(300)
    return item


if __name__ == "__main__":
    # What is started in the background of a shell has Ctrl-C ignored from it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(sys.argv[1])
    with processes(2) as pool:
        list(pool.map(partial(measured, folder), range(8)))
