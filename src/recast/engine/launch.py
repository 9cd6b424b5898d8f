"""Starts a command on several processes of this machine, by torchrun's own launcher, and ends each of them."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from recast.engine.signals import STOPS
from recast.errors import Cancelled, RecastError

FRESH_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
"""Makes processes that are started again meet at a new place; the old one still has addresses of processes that are
gone (pytorch #135712)."""
SECONDS_TO_SAVE = 600


def launch(arguments: Sequence[str], processes: int, *, restarts: int = 3) -> None:
    """Runs Python with `arguments` on so many processes, and waits for them.

    Where one dies, all start again, so many times, and go on from the last checkpoint. SIGTERM and Ctrl-C reach them
    all, and they save. Raises Preempted or Cancelled then, and RecastError where the processes failed.
    """
    os.environ[FRESH_STORE] = "1"
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=restarts,
        shutdown_timeout=SECONDS_TO_SAVE,
    )
    try:
        elastic_launch(config, sys.executable)(*arguments)
    except SignalException as stopped:
        raise STOPS.get(stopped.sigval, Cancelled)("stopped and saved; the same command goes on from there") from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise RecastError(f"process {rank} ended with {failure.exitcode}; its messages stand above") from None


def leave(code: int) -> NoReturn:
    """Ends one of torchrun's processes at once, with this exit code and all that it printed.

    The interpreter is not taken down: a thread of gloo that lets go of its last tensor meanwhile would abort the
    process (pytorch #190489), and the launcher would take a finished run for a failed one.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
