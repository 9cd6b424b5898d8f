"""One clip edited by several methods, for `recast compare --methods`: a labelled video, a sheet, and a table."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recast.cli.flags import FLAGS, listed, request_from
from recast.cli.progress import shown
from recast.cli.table import table, visible
from recast.editing.request import Request
from recast.errors import Cancelled, RequestError, known
from recast.files import put, workplace

if TYPE_CHECKING:
    from recast.editing.prepared import Prepared
    from recast.evaluation.side_by_side import MethodTrial
    from recast.types import Clip

EDITED = tuple(name for name in FLAGS if name not in {"method", "max_frames", "vram"})
"""The settings of an edit that all methods are given."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A clip and its edits. sheet, video: where they go."""

    clip: "Clip"
    trials: tuple["MethodTrial", ...]
    sheet: Path
    video: Path

    def written(self, *, columns: int, height: int) -> "Comparison":
        """The same, with sheet and video on the disk: both, or neither."""
        import torch

        from recast.types import Clip
        from recast.video.mosaic import mosaic
        from recast.video.sheet import saved, sheet
        from recast.video.write import save_clip

        blank = torch.full_like(self.clip.frames, 255)
        made = [self.clip.frames, *(blank if trial.frames is None else trial.frames for trial in self.trials)]
        labels = ["source", *(_label(trial) for trial in self.trials)]
        names = ["source", *(trial.method for trial in self.trials)]
        # Both are complete before either has its name, so neither is there where the other could not be made.
        with workplace(self.sheet) as folder:
            picture, movie = (folder / path.name for path in (self.sheet, self.video))
            saved(sheet([list(frames) for frames in made], labels, columns=columns, height=height), picture)
            save_clip(Clip(mosaic(made, names), self.clip.fps), movie)
            put(picture, self.sheet)
            put(movie, self.video)
        return self

    def report(self, *, as_json: bool, quiet: bool) -> None:
        """Prints what each method took and how it scores: as one JSON object, or as a table."""
        if as_json:
            rows = [_facts(trial) for trial in self.trials]
            print(json.dumps({"output": str(self.sheet), "video": str(self.video), "methods": rows}))
            return
        scores = list(dict.fromkeys(name for trial in self.trials for name in trial.scores))
        table(("method", "seconds", "evaluations", *scores, ""), [_row(trial, scores) for trial in self.trials])
        if not quiet:
            print(visible(f"{self.sheet}, {self.video}: {len(self.clip)} frames"), file=sys.stderr)


def by_methods(
    source: Path,
    target: Path,
    methods: str,
    options: dict[str, object],
    settings: list[str] | None,
    *,
    write: Callable[[Comparison], Comparison],
    overwrite: bool,
    quiet: bool,
) -> Comparison:
    """Edits a clip by each of the methods, with one open model, and writes them. methods: their names, or all.

    Where it is stopped, what was made so far is written. Raises RequestError for a method that is not known, Cancelled
    where the user interrupts it.
    """
    names = _named(methods)

    def asked(method: str | None) -> Request:
        return request_from(source, target, options | {"method": method}, settings, overwrite=overwrite)

    request, video = asked(None), target.with_suffix(".mp4")
    _check(request, video)
    with shown(quiet=quiet) as watch:
        from recast.editing.loaded import Model
        from recast.evaluation.side_by_side import trials

        model = Model.loaded(request.model, device=request.device, dtype=request.dtype)
        made: list[tuple[Prepared, MethodTrial]] = []
        try:
            for each in trials(asked, names, model, watch):
                made.append(each)  # one by one: a stop in the middle leaves those before it
        except (KeyboardInterrupt, Cancelled) as stopped:
            if not made:
                raise
            write(_joined(made, names, target, video))
            raise Cancelled(f"stopped; {target} has {len(made)} of {len(names)} methods") from stopped
        return write(_joined(made, names, target, video))


def _check(request: Request, video: Path) -> None:
    from recast.editing.checks import check_inputs, check_target, free_target, source_of
    from recast.video.read import opened

    if request.vram is not None:
        raise RequestError("vram is of one edit, and methods are compared with what each takes; leave it out")
    opened(source_of(request), request.on_damage)
    check_inputs(request)
    free_target(request)
    check_target(Request.asked(source=request.source, target=video, overwrite=request.overwrite))


def _named(methods: str) -> list[str]:
    from recast.methods import METHODS

    names = METHODS if methods == "all" else dict.fromkeys(listed(methods) or [""])
    return [known("method", name, METHODS) for name in names]


def _joined(made: "list[tuple[Prepared, MethodTrial]]", names: list[str], sheet: Path, video: Path) -> Comparison:
    by_name = {trial.method: trial for _, trial in made}
    return Comparison(made[0][0].clip, tuple(by_name[name] for name in names if name in by_name), sheet, video)


def _label(trial: "MethodTrial") -> str:
    if trial.refusal:
        return f"{trial.method}: {trial.refusal}"
    scores = "".join(f", {name} {value:.3f}" for name, value in trial.scores.items())
    return f"{trial.method}: {trial.seconds:.1f} s, {trial.evaluations} evaluations{scores}"


def _row(trial: "MethodTrial", scores: list[str]) -> tuple[str, ...]:
    if trial.refusal:
        return (trial.method, "", "", *("" for _ in scores), trial.refusal)
    scored = (f"{trial.scores[name]:.3f}" if name in trial.scores else "" for name in scores)
    return (trial.method, f"{trial.seconds:.1f}", str(trial.evaluations), *scored, "")


def _facts(trial: "MethodTrial") -> dict[str, object]:
    if trial.refusal:
        return {"method": trial.method, "refusal": trial.refusal}
    cost = {"seconds": round(trial.seconds, 2), "evaluations": trial.evaluations}
    return {"method": trial.method, **cost, "scores": trial.scores}
