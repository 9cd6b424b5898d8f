"""An edit of a long clip that is killed at random moments, again and again, against one that is not.

`python killed_edit.py FOLDER --kills 50 --seed 0`. Children are forked from a parent that has the model, and killed by
a signal that the system sends after a random time of computing, so that a busy machine changes nothing. Prints JSON:
kills, finished edits, how many ended with the bytes of the undisturbed one, and segments that were done twice.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from recast.editing.edit import edit
from recast.editing.job import EditJob
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.files import job_folder
from tiny_folder import clip_folder, written


def forked(request: Request, model: Model, seconds: float | None) -> bool:
    """Edits in a child that may compute for so many seconds; whether it came to its end."""
    if not (child := os.fork()):
        if seconds is not None:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, seconds)
        edit(request, model)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGPROF), code
    return code == 0


def digest(path: Path) -> str:
    """Of the bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    model = Model.loaded(str(written(asked.folder / "model")))
    source = clip_folder(asked.folder / "clip", frames=40)
    whole = Request.asked(
        source=source, target=asked.folder / "whole.mp4", prompt="a red ball", segment=8, steps=2, ensemble=1
    )
    edit(whole, model)
    began = time.process_time()
    edit(whole.updated(overwrite=True), model)
    took, rng = time.process_time() - began, random.Random(asked.seed)
    kills = finished = same = redone = 0
    while kills < asked.kills:
        folder = asked.folder / f"killed-{finished}"
        folder.mkdir()
        request = whole.updated(target=folder / "out.mp4")
        job, done = EditJob(job_folder(request.target)), 0
        while not forked(request, model, took * rng.uniform(0.02, 0.5) if kills < asked.kills else None):
            kills += 1
            now = job.segments_done()
            redone += 0 if request.target.exists() else max(0, done - now)
            done = now
            assert {path.name for path in folder.iterdir()} <= {"out.mp4", "out.mp4.job"}
            if request.target.exists():  # killed while it removed its folder
                shutil.rmtree(job.path, ignore_errors=True)
                break
        finished += 1
        same += digest(request.target) == digest(whole.target) and os.listdir(folder) == ["out.mp4"]
    print(json.dumps({"kills": kills, "finished": finished, "same": same, "segments done twice": redone}))


if __name__ == "__main__":
    main()
