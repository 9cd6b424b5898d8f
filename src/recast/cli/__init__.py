"""The command line. Nothing here imports torch before a command needs it."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command that the process was started with, and ends the process with its exit code."""
    from recast.cli.app import run

    sys.exit(run(sys.argv[1:]))
