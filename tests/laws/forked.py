"""Programs run out of one process that has torch already: each is forked from it, and so is there at once.

`together` starts that process, which is this file as a program; it reads what to run as JSON.
"""

import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from tempfile import TemporaryFile


@dataclass(frozen=True)
class Ended:
    """How a program's processes ended: exit codes by rank, less than 0 for a signal, and what they printed."""

    codes: list[int]
    stdout: str
    stderr: str


def together(*commands: Sequence[str], processes: int | None = None) -> list[Ended]:
    """Runs programs one after the other, each with its arguments; on so many processes, if on several, that train
    as one, without a launcher."""
    asked = json.dumps({"commands": [list(map(str, each)) for each in commands], "processes": processes})
    done = subprocess.run(
        [sys.executable, __file__], input=asked, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return [Ended(**each) for each in json.loads(done.stdout)]


def ended(command: list[str], processes: int | None) -> Ended:
    """Runs one program to its end. In its own processes, this raises SystemExit or what the program raises."""
    # Files without a name: a child that ends as programs do tidies up behind itself, and leaves these alone.
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors, socket.socket() as free:
        free.bind(("localhost", 0))
        place = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1])}
        free.close()
        children = []
        for rank in range(processes or 1):
            if not (child := os.fork()):
                os.dup2(output.fileno(), 1)
                os.dup2(errors.fileno(), 2)
                if processes:
                    os.environ |= place | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
                sys.argv = command
                runpy.run_path(command[0], run_name="__main__")
                sys.exit(0)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        output.seek(0)
        errors.seek(0)
        return Ended(codes, output.read(), errors.read())


def main() -> None:
    """Reads programs, runs them, tells how they ended."""
    import training_run  # noqa: F401 -- with all that is imported late otherwise, in each process anew

    asked = json.load(sys.stdin)
    results = [asdict(ended(command, asked["processes"])) for command in asked["commands"]]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
