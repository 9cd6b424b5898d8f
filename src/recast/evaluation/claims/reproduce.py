"""`recast reproduce`: the items that claims need, run and kept, and the report of all claims."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from recast import __version__
from recast.editing.record import digest
from recast.evaluation.claims.arms import ArmItem, ClaimRun, measured
from recast.evaluation.claims.claim import Claim
from recast.evaluation.claims.table import CLAIMS
from recast.evaluation.claims.verdicts import HEADINGS, ClaimResult, rows, verdicts
from recast.evaluation.items import EvalConfig, open_context
from recast.evaluation.judge.judge import WEIGHTS
from recast.evaluation.results import ResultsFile, Workers, collected
from recast.evaluation.suite import RANGES
from recast.model.folder import ModelFolder
from recast.progress import ProgressCallback

QUICK_SIDE = 128
"""Rows and columns of quick worlds and edits: what pocket's networks were trained at."""
QUICK_OPTIONS = (("ensemble", 1),)
QUICK_WORLDS, WORLDS = 8, 100
NOTE = (
    "Measured on rendered worlds with known truth. In brackets: the 95 % interval of the paired difference, by "
    "bootstrap over worlds and, where there are several, over seeds; n worlds. A claim holds where all of the interval "
    "is on the side that it says, fails where none of it is, and is open else, or where something is missing."
)


@dataclass(frozen=True)
class Reproduction:
    """Which claims are measured on what. seeds: noises of each world. results: as `ResultsFile` has it."""

    run: ClaimRun
    claims: Mapping[str, Claim]
    worlds: range
    seeds: int = 1
    jobs: int = 1
    results: Path | None = None

    @property
    def items(self) -> list[ArmItem]:
        """All that are needed, those of one world and case one after the other."""
        arms = dict.fromkeys(arm for claim in self.claims.values() for arm in claim.arms)
        ordered = sorted(arms, key=lambda arm: (arm.model, arm.case))
        return [
            ArmItem(arm, world, seed)
            for world in self.worlds
            for arm in ordered
            for seed in range(1 if arm.content == "source" else self.seeds)
        ]

    @property
    def identity(self) -> dict[str, Any]:
        """What results must have in common: models, judge, size and settings of all edits."""
        # Those of all claims, so that a run of some is the beginning of a run of more.
        arms = [arm for claim in CLAIMS.values() for arm in claim.arms]
        models = sorted({self.run.model, *(arm.model for arm in arms if arm.model)})
        digests = {Path(model).name: digest(ModelFolder.found(model).path) for model in models}
        options = {"side": self.run.side, **dict(self.run.options)}
        return {"models": digests, "judge": digest(WEIGHTS), "options": options, "claims": "1"}

    @property
    def head(self) -> dict[str, str]:
        """What a reader must know of every number."""
        identity = self.identity
        models = ", ".join(f"{name} ({each:.12})" for name, each in identity["models"].items())
        options = ", ".join(f"{name} {value}" for name, value in identity["options"].items() if value is not None)
        return {
            "recast": __version__,
            "worlds": f"{self.worlds[0]} to {self.worlds[-1]}; {RANGES}",
            "seeds": str(self.seeds),
            "models": models,
            "judge": f"{identity['judge']:.12}",
            "all edits": options or "as each model's folder says",
        }


def reproduced(asked: Reproduction, watch: ProgressCallback) -> list[ClaimResult]:
    """The verdict of each claim. A stopped run goes on from its results."""
    items = {item.name: item for item in asked.items}
    workers = Workers(asked.jobs, partial(open_context, EvalConfig(asked.run.model, asked.run.device, ())))
    file = ResultsFile(asked.results, asked.identity)
    found = collected(items, partial(measured, asked.run), file, workers, watch)
    by_item = {items[name]: figures for name, figures in found.items()}
    for item, figures in list(by_item.items()):
        # The unedited clip is the same for each seed of an edit.
        if item.arm.content == "source":
            by_item |= {ArmItem(item.arm, item.world, seed): figures for seed in range(1, asked.seeds)}
    return verdicts(asked.claims, by_item)


def to_json(asked: Reproduction, found: list[ClaimResult], command: str) -> dict[str, Any]:
    """The report in JSON's types."""
    return {"command": command, "head": asked.head, **asked.identity, "run": asdict(asked.run)} | {
        "claims": [verdict.to_json() for verdict in found]
    }


def to_markdown(asked: Reproduction, found: list[ClaimResult], command: str) -> str:
    """Head, table and command."""
    head = "; ".join(f"{name} {value}" for name, value in asked.head.items())
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows(found)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in lines)
    return f"Measured: {head}.\n\n{table}\n\n{tally(found)} Made by `{command}`. {NOTE}"


def tally(found: list[ClaimResult]) -> str:
    """How many claims hold, fail and are open."""
    counts = {answer: sum(each.answer == answer for each in found) for answer in ("holds", "fails", "open")}
    missing = sum(bool(each.claim.needs) for each in found)
    listed = f"{counts['holds']} hold, {counts['fails']} fail, {counts['open']} are open"
    return f"Of {len(found)} claims {listed} ({missing} of these for want of what they need)."
