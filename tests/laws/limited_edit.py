"""An edit under limits of memory, from one that is enough down to one that nothing can be done with.

`python limited_edit.py FOLDER --frames 24 --size 96 --mib 1000,60,40,20`. Children are forked from a parent that has
the model, each may take so much address space more than it has, and prints what became of it as a line of JSON.
"""

import argparse
import json
import os
import resource
import sys
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from recast.conditions.content import ContentInput, Medium
from recast.editing.edit import edit
from recast.editing.loaded import Model
from recast.editing.record import digest
from recast.editing.request import Request
from recast.errors import OutOfMemoryError
from tiny_folder import clip_folder, written


def limited(request: Request, model: Model, mib: int) -> dict[str, object]:
    """What becomes of an edit in a child that may take so much more."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + mib * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        os.write(writing, json.dumps(_made(request, model)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        answered = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"mib": mib} | (json.loads(answered) if answered else {"ended": code})


def _made(request: Request, model: Model) -> dict[str, object]:
    with warnings.catch_warnings(action="ignore"):
        try:
            result = edit(request, model)
        except OutOfMemoryError as error:
            return {"refused": str(error)}
    assert request.target is not None
    notes = [note for note in result.record.notes if note.startswith("memory ran out")]
    return {"notes": notes, "frames": result.num_frames, "segment": result.record.request["segment"]} | {
        "pictures": [digest(path)[:12] for path in sorted(request.target.glob("*.png"))][:: result.num_frames - 1]
    }


def main() -> None:
    """Prints a line for each limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--mib", default="1000,60,40,20")
    asked = parser.parse_args()
    if "MALLOC_ARENA_MAX" not in os.environ:
        # Threads reserve heaps of their own, as address space that is never used; the limit would count them.
        os.environ["MALLOC_ARENA_MAX"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    place = written(asked.folder / "model")
    clip = clip_folder(asked.folder / "clip", frames=asked.frames, size=(asked.size, asked.size))
    settings = {"size": asked.size, "steps": 2, "cuts": "none", "method": "gen1", "window": 4, "structure": "edges"}
    model = Model.loaded(str(place))
    # Encoders are opened where they are first asked for, by threads, which would be refused under a limit.
    model.backbone.encode_content((ContentInput(Medium.WORDS, "snow"),))
    for mib in map(int, asked.mib.split(",")):
        target = asked.folder / f"made-{mib}"
        request = Request.asked(source=clip, target=target, prompt="snow", model=str(place), **settings)
        print(json.dumps(limited(request, model, mib)), flush=True)


if __name__ == "__main__":
    main()
