"""Public weights measured once, by somebody who has them: `python benchmarks/public_weights.py CLIP -p WORDS`.

Each model that is here is opened by name and edits the clip by its own method, steps and guidance; twice, since the
first edit also warms up. Prints a table for docs/results.md: seconds to open and to edit, the device's peak memory,
network evaluations, frame consistency, warp error and, where the model has a CLIP pair, prompt consistency. --sheet
writes the source above each edit. A model that refuses, or for which there is too little memory, has its reason in
its row. Nothing is fetched: `recast models pull NAME` does that.
"""

import argparse
import platform
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from recast.editing.adapting import memory_told
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.errors import RecastError
from recast.evaluation.report import markdown
from recast.evaluation.side_by_side import MethodTrial, trials
from recast.evaluation.tables import Grid
from recast.model.pulled import is_pulled
from recast.model.specs import SPECS
from recast.types import Frames
from recast.video.sheet import saved, sheet

SCORES = ("frames", "warp", "prompt")
HEADINGS = ("model", "method, steps", "frames, size", "open, s", "edit, s", "GB", "evaluations", *SCORES)


@dataclass(frozen=True, eq=False)
class MeasuredModel:
    """What one model made of the clip. opening: seconds. gigabytes: most that was held on the device; 0 on a processor.

    about: method and steps. source: as the model saw it. trial: of the second edit.
    """

    name: str
    about: str
    opening: float
    gigabytes: float
    source: Frames
    trial: MethodTrial

    @property
    def row(self) -> tuple[str, ...]:
        """Its row of the table."""
        frames, scores = self.trial.frames, self.trial.scores
        assert frames is not None, "an edit that was refused raises"
        size = f"{len(frames)}, {frames.shape[-1]}x{frames.shape[-2]}"
        scored = [f"{scores[name]:.3g}" if name in scores else "-" for name in SCORES]
        numbers = [f"{number:.1f}" for number in (self.opening, self.trial.seconds, self.gigabytes)]
        return f"`{self.name}`", self.about, size, *numbers, str(self.trial.evaluations), *scored


def measured(name: str, args: argparse.Namespace) -> MeasuredModel:
    """A model opened, and the clip edited twice by its own method."""
    began = perf_counter()
    model = Model.loaded(name, device=args.device)
    opening, metadata = perf_counter() - began, model.folder.metadata

    def asked(method: str) -> Request:
        words, own = ((args.prompt, 1.0),), ((args.source_prompt, 1.0),) if args.source_prompt else ()
        more = {"source_prompt": own, "max_frames": args.frames, "segment": max(args.frames, 2)}
        return Request.asked(source=args.clip, words=words, method=method, model=name, **more)

    on_device = model.device.type == "cuda"
    with memory_told(name, "a smaller --frames"):
        for _ in range(2):
            if on_device:
                torch.cuda.reset_peak_memory_stats()
            [(prepared, trial)] = trials(asked, [metadata.method], model)
    gigabytes = torch.cuda.max_memory_allocated() / 1e9 if on_device else 0.0
    about = f"{metadata.method}, {metadata.steps}"
    return MeasuredModel(name, about, opening, gigabytes, prepared.clip.frames, trial)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("-p", "--prompt", required=True, help="what it should look like; an instruction to Lucy-Edit")
    parser.add_argument("--source-prompt", default="", help="what it shows, for flowedit and its kin")
    parser.add_argument("--models", nargs="+", metavar="NAME|FOLDER", help="all that were pulled, if not said")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sheet", type=Path, metavar="PNG")
    return parser.parse_args()


def main() -> None:
    """Measures, and prints the table."""
    args = parsed()
    names = args.models or [name for name, spec in SPECS.items() if spec.edits and is_pulled(name)]
    if not names:
        raise SystemExit("no model was pulled; `recast models pull NAME` brings one, or name folders with --models")
    rows, shown = [], []
    for name in names:
        try:
            found = measured(name, args)
        except RecastError as error:
            rows.append((f"`{name}`", str(error)[:160], *("-",) * (len(HEADINGS) - 2)))
            continue
        rows.append(found.row)
        assert found.trial.frames is not None
        shown += [(f"{name}: source", found.source), (name, found.trial.frames)]
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    print(markdown(Grid(f"## Public weights on {where}, torch {torch.__version__}", HEADINGS, tuple(rows))))
    if args.sheet and shown:
        pictures = [list(frames) for _, frames in shown]
        saved(sheet(pictures, [label for label, _ in shown], columns=6, height=192), args.sheet)


if __name__ == "__main__":
    main()
