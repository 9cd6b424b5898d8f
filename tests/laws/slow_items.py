"""Measures items that take minutes in two processes, which leave their numbers in a folder: `slow_items.py FOLDER`."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from recast.editing.progress import no_progress
from recast.evaluation.results import ResultsFile, Workers, collected


def measured(folder: Path, item: int) -> int:
    (folder / str(os.getpid())).touch()
    time.sleep(300)
    return item


if __name__ == "__main__":
    # What is started in the background of a shell has Ctrl-C ignored from it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(sys.argv[1])
    items = {str(item): item for item in range(8)}
    collected(items, partial(measured, folder), ResultsFile(None, {}), Workers(2, folder.exists), no_progress)
