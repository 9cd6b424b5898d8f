"""Edits of worlds and parts of a model on real clips: what is tried, on which of them, and its outcomes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from recast.editing.record import digest
from recast.errors import MediaError
from recast.evaluation.cases.worlds import CHANGES
from recast.evaluation.items import CASE_KINDS, EDITED, SWEPT, EvalConfig, EvalItem, Outcome, Variant, open_context
from recast.evaluation.judge.judge import WEIGHTS, Judge
from recast.evaluation.results import ResultsFile, Workers, measured
from recast.evaluation.trials import outcomes
from recast.model.folder import ModelFolder
from recast.progress import ProgressCallback

TEMPORAL_GUIDANCE = (0.0, 0.5, 1.0, 1.5, 2.0)
"""omega_t of Gen-1's eq. 8 at which frame consistency is compared."""
WORLD_KINDS = ("worlds", *CASE_KINDS.values())
"""Kinds of tasks that are one world each."""

Kept = defaultdict[str, dict[Variant, Outcome]]
"""Outcomes by task and by what was tried; one without figures is an edit that the model cannot make."""
RANGES = "settings were chosen on worlds 0 to 35 and from 1000 on, nothing on 100 to 199"
"""What the head of each report says of which worlds are for choosing, and which for publishing."""


@dataclass(frozen=True)
class Suite:
    """What to evaluate, where. results: a file that keeps outcomes, so that a stopped run goes on where it was."""

    setting: EvalConfig
    tasks: tuple[EvalItem, ...]
    jobs: int = 1
    results: Path | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What outcomes must have in common to be put together."""
        model = {"name": Path(self.setting.model).name, "digest": digest(ModelFolder.found(self.setting.model).path)}
        return {
            "model": model,
            "judge": digest(WEIGHTS),
            "frame_encoder": Judge.name,
            "settings": dict(self.setting.settings),
            "true_depth": self.setting.true_depth,
        }

    def lacking(self, task: EvalItem, found: Collection[Variant]) -> tuple[Variant, ...]:
        """The edits of a task that are asked for and were not found."""
        edits = [trial for trial in self.setting.edits if CASE_KINDS[trial.case] == task.kind]
        edits = [trial for trial in edits if not (trial.is_swept and int(task.of) % SWEPT)]
        return tuple(trial for trial in edits if trial not in found)

    @property
    def head(self) -> dict[str, str]:
        """What a reader must know of every number: of which worlds, by which method, model, judge and encoder."""
        identity = self.identity
        numbers = sorted({int(task.of) for task in self.tasks if task.kind in WORLD_KINDS})
        others = [trial.method for trial in self.setting.edits if trial.method]
        return {
            "worlds": f"{numbers[0]} to {numbers[-1]}; {RANGES}" if numbers else "none",
            "method": ", ".join(dict.fromkeys([self.setting.method, *others])),
            "model": "{name} ({digest:.12})".format_map(identity["model"]),
            "judge": f"{identity['judge']:.12}",
            "frame encoder": Judge.name,
        }


def edits(
    details: Iterable[float],
    *,
    temporal: bool = False,
    steps: Iterable[int] = (),
    methods: Sequence[str] = (),
    cases: Sequence[str] = tuple(CHANGES),
) -> tuple[Variant, ...]:
    """The trials of each world.

    Words at every t_s, a picture at the first, words there for a place or a colour alone, the same words by each of
    `methods`, and with `temporal` by temporal guidance, once for each of `steps` (the model's own number if none).
    cases: kinds of CHANGES; without "mixed" there is neither another t_s, nor a picture, nor a sweep.
    """
    listed = list(details)
    if not listed:
        return ()
    mixed = [Variant("words", detail, 1.0) for detail in listed] + [Variant("picture", listed[0], 1.0)]
    tried = mixed if "mixed" in cases else []
    plain = [Variant("words", listed[0], 1.0, case=kind) for kind in cases]
    tried += plain + [replace(trial, method=method) for method in methods for trial in plain]
    if temporal and "mixed" in cases:
        sweep = [replace(plain[0], temporal_guidance=guidance) for guidance in TEMPORAL_GUIDANCE]
        tried += [replace(trial, steps=number) for number in (tuple(steps) or (None,)) for trial in sweep]
    return tuple(dict.fromkeys(tried))


def world_tasks(count: int, first: int = 0, kinds: Iterable[str] = WORLD_KINDS) -> tuple[EvalItem, ...]:
    """The edits of `count` worlds from number `first` on, and the model's parts on as many."""
    return tuple(EvalItem(kind, str(number)) for kind in kinds for number in range(first, first + count))


def footage_tasks(folder: Path) -> tuple[EvalItem, ...]:
    """Every file in clips/ and every sequence with images/ and masks/ in frames/. Raises MediaError for neither."""
    clips = sorted(path for path in folder.glob("clips/*") if path.is_file())
    sequences = sorted(path.parent for path in folder.glob("frames/*/masks") if (path.parent / "images").is_dir())
    if not clips and not sequences:
        raise MediaError(f"{folder} has neither clips/ with videos nor frames/NAME with images/ and masks/ in it")
    return tuple([EvalItem("clip", str(path)) for path in clips] + [EvalItem("masks", str(path)) for path in sequences])


def evaluated(suite: Suite, watch: ProgressCallback) -> list[Outcome]:
    """The outcomes of all tasks, in the order of the tasks and edits whatever was done first.

    What the results file has is not measured again, be it some tasks, or some edits of a task.
    """
    file = ResultsFile(suite.results, suite.identity)
    kept: Kept = defaultdict(dict)
    for name, rows in file.lines():
        kept[name] |= _by_variant(name, rows)
    lacking = {task.name: (task, suite.lacking(task, kept[task.name])) for task in suite.tasks}
    lacking = {name: (task, edits) for name, (task, edits) in lacking.items() if edits or not kept[name]}
    workers = Workers(suite.jobs, partial(open_context, suite.setting))
    for name, rows in measured(lacking, partial(_rows, suite.setting), file, workers, watch):
        kept[name] |= _by_variant(name, rows)
    order = {trial: number for number, trial in enumerate(suite.setting.edits)}
    found = [outcome for task in suite.tasks for outcome in _ordered(kept[task.name], order)]
    return [outcome for outcome in found if outcome.figures]


def _ordered(kept: Mapping[Variant, Outcome], order: Mapping[Variant, int]) -> list[Outcome]:
    """What no edit was needed for, then the edits that are asked for."""
    asked = [outcome for trial, outcome in kept.items() if trial.content not in EDITED or trial in order]
    return sorted(asked, key=lambda outcome: order.get(outcome.trial, -1))


def _rows(setting: EvalConfig, lacking: tuple[EvalItem, tuple[Variant, ...]]) -> list[dict[str, Any]]:
    """What the file has of a task. Of a variant only what differs from the default: there are thousands of them."""
    task, edits = lacking
    usual = {knob.name: knob.default for knob in fields(Variant)}
    return [
        {
            "trial": {name: value for name, value in asdict(outcome.trial).items() if value != usual[name]},
            "figures": outcome.figures,
            "seconds": outcome.seconds,
        }
        for outcome in outcomes(setting, task, edits)
    ]


def _by_variant(task: str, rows: Iterable[dict[str, Any]]) -> dict[Variant, Outcome]:
    found = [Outcome(task, Variant(**row["trial"]), row["figures"], row["seconds"]) for row in rows]
    return {outcome.trial: outcome for outcome in found}
