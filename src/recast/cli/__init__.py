"""The command line. Nothing here imports torch before a command needs it."""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command that the process was started with, and ends the process with its exit code."""
    from recast.cli.app import run

    code = run(sys.argv[1:])
    if "RANK" in os.environ:  # torchrun's, as `recast train --nproc` starts it too
        from recast.engine.launch import leave

        leave(code)
    sys.exit(code)
