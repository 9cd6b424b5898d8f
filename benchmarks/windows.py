"""What the length of windows does to edits: `python benchmarks/windows.py --worlds 6 --first 1000 --windows 16,8`.

Edits worlds of more frames than the model was trained on, from words, once for each length, and prints a row for each:
what `recast evaluate` measures of it, and the seconds that it took.
"""

import argparse
import json
from collections.abc import Iterator
from time import perf_counter

from recast.editing.prepared import prepare
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import generate
from recast.evaluation.cases.worlds import case
from recast.evaluation.items import EvalConfig, EvalContext, open_context
from recast.evaluation.trials import FPS, AskedEdit, frames_of
from recast.types import Clip
from recast.world import rendered


def rows(number: int, frames: int, windows: list[int], context: EvalContext) -> Iterator[dict[str, object]]:
    """The world's own render of the edit, then an edit for each window."""
    asked, side, model = case(number, context.side, frames), context.side, context.model
    truth = frames_of(rendered(asked.truth, frames, side, side))
    edit = AskedEdit(asked, frames_of(asked.source), truth, context)
    yield {"world": number, "window": "own render"} | edit.measured(truth)
    request = Request.asked(model=context.setting.model, seed=number, words=asked.words)
    resolved = [resolve(request.updated(window=window), model, Clip(edit.source, FPS)) for window in windows]
    prepared = prepare(resolved[0], model)
    for each in resolved:
        start = perf_counter()
        edited = generate(each, prepared, model).frames
        seconds = round(perf_counter() - start, 1)
        yield {"world": number, "window": each.window, "seconds": seconds} | edit.measured(edited)


def main() -> None:
    """Prints the rows as JSON, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--worlds", type=int, default=6)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--windows", default="16,8")
    asked = parser.parse_args()
    context = open_context(EvalConfig(asked.model, "auto", ()))
    for number in range(asked.first, asked.first + asked.worlds):
        for row in rows(number, asked.frames, [int(window) for window in asked.windows.split(",")], context):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
