"""Trains the small network while it is killed again and again, and tells as JSON what came of it.

`python killed_run.py FOLDER --kills 50 --seed 0`. Children are forked from a parent that has torch, so that each is
there at once. Half of them are killed by a clock, half as they are about to make, or have just made, the n-th call
that brings a checkpoint to its disk.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from training_run import Small, recipe, squares, written

from recast.engine import manifest
from recast.engine.loop import BatchShard, fit

STEPS, KEEP_EVERY = 100, 4
DURABLE = ("fsync", "rename", "mkdir", "open")


def chancy(network: Small, share: BatchShard) -> Tensor:
    """A loss that draws from all there is to draw from; dropout draws from torch."""
    return squares(network, share).mean * (1 + 0.1 * random.random() + 0.1 * np.random.rand())


def trained(run: Path, steps: int = STEPS) -> None:
    """A run to its end, in this process."""
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(1)
    network = fit(Small(), chancy, recipe(steps, KEEP_EVERY), run)
    save_file(network.state_dict(), run / "trained.safetensors")


def child(work: Callable[[], None], seconds: float | None = None) -> int:
    """The signal that ended a child; 0 where it came to its end. It is killed after so many seconds."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def killed_at(call: int, *, before: bool) -> None:
    """Lets this process be killed at its `call`-th call that is durable."""
    left = call

    def counting(inner: Callable) -> Callable:
        def counted(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if before and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = inner(*arguments, **options)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return counted

    for name in DURABLE:
        setattr(os, name, counting(getattr(os, name)))


def newest(run: Path) -> int:
    """The step of the newest whole checkpoint, 0 where there is none."""
    whole = [path for path in run.glob("step-*[0-9]") if manifest.fault(path) is None]
    return max((int(path.name[5:]) for path in whole), default=0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = random.Random(args.seed)
    whole, run = args.folder / "whole", args.folder / "killed"
    trained(args.folder / "warm", steps=KEEP_EVERY)  # what torch imports late is then there for all children
    began = time.monotonic()
    child(lambda: trained(whole))
    took = time.monotonic() - began
    counts = {"kills": 0, "inside a save": 0, "runs": 0, "equal": 0, "lost": 0}

    def finished() -> None:
        counts["runs"] += 1
        counts["equal"] += torch.equal(written(whole), written(run))
        shutil.rmtree(run)

    while counts["kills"] < args.kills:
        before = newest(run)
        if rng.random() < 0.5:
            ended = child(lambda: trained(run), seconds=rng.uniform(0, took / 3))
        else:
            call, early = rng.randint(1, 40), rng.random() < 0.5
            ended = child(lambda: (killed_at(call, before=early), trained(run)))  # noqa: B023 -- it runs at once
        counts["lost"] += newest(run) < before
        counts["kills"] += ended == signal.SIGKILL
        counts["inside a save"] += any(run.glob("*.part"))
        if (run / "trained.safetensors").exists() and not ended:
            finished()
    assert child(lambda: trained(run)) == 0
    finished()
    json.dump(counts, sys.stdout)


if __name__ == "__main__":
    main()
