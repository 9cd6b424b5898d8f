"""Is a learned subject like its pictures? `python benchmarks/customization.py --subjects 20 --results FILE.jsonl`.

Gen-1's Fig. 10 in numbers: each subject is learned from 15 pictures for each number of steps, and a clip of one of its
class is edited to show it elsewhere at each t_s. Prints a table of means with intervals, and differences subject by
subject. Rows are kept in FILE, and adapters beside it until their subject is done: a stopped run goes on where it was,
and --subjects 0 prints what is there. --sheets DIR writes a contact sheet of each subject.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import torch

import recast
from recast.conditions.clip_pair import ClipPair
from recast.editing.record import digest
from recast.evaluation.cases.subjects import SubjectCase, subject_case
from recast.evaluation.judge.judge import WEIGHTS, Judge
from recast.evaluation.metrics.accuracy import overlap, pointed
from recast.evaluation.metrics.likeness import likeness, subject_embeddings
from recast.evaluation.pair_scores import EMBEDDED
from recast.evaluation.report import markdown
from recast.evaluation.results import ResultsFile
from recast.evaluation.side_tables import ByCase, differences, means
from recast.evaluation.tables import Grid
from recast.evaluation.trials import FPS, floors, frames_of
from recast.model.folder import ModelFolder
from recast.types import Clip, Frames
from recast.video.sheet import saved, sheet
from recast.world import rendered
from recast.world.words import COLOURS

MEASURES = ("subject_likeness", "colour", "environment", "outline")
TOKEN = "sks"


@dataclass(frozen=True)
class GridPoint:
    """One point of the grid. steps: of customization, 0 for the model as it is, which is asked for the class."""

    steps: int
    detail: float

    @property
    def name(self) -> str:
        """Its row."""
        return f"{self.steps} steps, t_s {self.detail:g}"


@dataclass(frozen=True, eq=False)
class LearnedSubject:
    """A subject, and the adapters that were made of its pictures. folder: where these lie meanwhile."""

    case: SubjectCase
    asked: argparse.Namespace
    folder: Path

    @property
    def photos(self) -> Path:
        """Where the pictures lie."""
        return self.folder / "photos"

    def edited(self, setting: GridPoint) -> Frames:
        """The clip, showing the subject elsewhere."""
        editor = recast.load(self.asked.model, adapter=str(self._adapter(setting.steps)) if setting.steps else ())
        words = self.case.words(TOKEN if setting.steps else self.case.class_name)
        options = {"prompt": words, "structure_detail": setting.detail, "seed": self.case.number}
        return editor(Clip(frames_of(self.case.source), FPS), method="gen1", **options).frames

    def _adapter(self, steps: int) -> Path:
        adapter, prior = (self.folder / f"adapter{steps}{ending}" for ending in ("", ".prior"))
        if not adapter.exists():
            for number, shown in enumerate(self.case.photos):
                saved(frames_of(shown)[0], self.photos / f"{number:02d}.png")
            made = next(self.folder.glob("adapter*.prior"), None)
            if made is not None and not prior.exists():  # pictures of the class are the same whatever the steps
                shutil.copytree(made, prior)
            words = {"token": TOKEN, "class_name": self.case.class_name}
            options = {"model": self.asked.model, "train": self.asked.train, "steps": steps}
            recast.customize([self.photos], output=adapter, **words, **options)
        return adapter


@dataclass(frozen=True, eq=False)
class SubjectScorer:
    """Measures edits of a subject. pair: it tells how alike two pictures are."""

    judge: Judge
    pair: ClipPair

    def scores(self, frames: Frames, case: SubjectCase) -> dict[str, float]:
        """By the names of METRICS. The subject is looked at under the true outline of the source's."""
        truth, mask = case.truth, torch.from_numpy(case.source.masks > 0)
        points, embed = pointed(mask), self.pair.embeddings
        photos = [(frames_of(photo), torch.from_numpy(photo.masks > 0)) for photo in case.photos]
        own = torch.cat([subject_embeddings(*photo, embed) for photo in photos])
        colour = self.judge.colours(frames, points, mask).mean(dim=0).argmax()
        verdict = self.judge(frames, points)
        return {
            "subject_likeness": likeness(subject_embeddings(frames, mask, embed), own),
            "colour": float(list(COLOURS)[int(colour)] == truth.subjects[0].colour),
            "environment": float(verdict.environment == truth.environment),
            "outline": overlap(verdict.subject, mask),
        }


def clips(learned: LearnedSubject) -> Iterator[tuple[str, Callable[[], Frames]]]:
    """What makes each clip of a subject, by name: bounds and floors, then the grid."""
    source = frames_of(learned.case.source)
    yield "reference render", lambda: frames_of(rendered(learned.case.truth, *source.shape[::2], source.shape[-1]))
    yield "the unedited source", lambda: source
    yield "flat grey", lambda: floors(source, learned.case.number)["grey"]
    for setting in learned.asked.grid:
        yield setting.name, lambda setting=setting: learned.edited(setting)


def measure(number: int, asked: argparse.Namespace, results: ResultsFile, scorer: SubjectScorer) -> None:
    """Makes and measures what a subject still lacks, and keeps it."""
    done = {row["way"] for row in results.rows().values() if row["subject"] == number}
    case, shown = subject_case(number, asked.side), {}
    learned = LearnedSubject(case, asked, asked.results.with_suffix(".adapters") / str(number))
    learned.photos.mkdir(parents=True, exist_ok=True)
    for name, make in clips(learned):
        if name not in done:
            began = process_time()
            shown[name] = make()
            row = {"subject": number, "way": name, "seconds": round(process_time() - began, 1)}
            results.add(f"{number} {name}", row | {"figures": scorer.scores(shown[name], case)})
    shutil.rmtree(learned.folder)
    if asked.sheets and shown:
        asked.sheets.mkdir(parents=True, exist_ok=True)
        rows = [[frames_of(photo)[0] for photo in case.photos[:8]], *map(list, shown.values())]
        labels = [f"{TOKEN}, to be: {case.words(TOKEN)}", *shown]
        saved(sheet(rows, labels, height=96), asked.sheets / f"subject-{number}.png")


def report(results: ResultsFile, grid: list[GridPoint]) -> str:
    """All tables: means, what steps add at each t_s, and what t_s adds at the most steps."""
    ways: dict[str, dict[str, dict[str, float]]] = {}
    for row in results.rows().values():
        ways.setdefault(row["way"], {})[str(row["subject"])] = row["figures"]
    last = max(setting.steps for setting in grid)
    tables = [means("Customization", ways, MEASURES)]
    details = sorted({setting.detail for setting in grid})
    for detail in details:
        tables.append(_less(GridPoint(last, detail), [each for each in grid if each.detail == detail], ways))
    tables.append(_less(GridPoint(last, details[-1]), [each for each in grid if each.steps == last], ways))
    return "\n\n".join(markdown(table) for table in tables if table.rows)


def _less(first: GridPoint, others: list[GridPoint], ways: dict[str, ByCase]) -> Grid:
    named = {each.name: ways[each.name] for each in others if each.name in ways}
    if first.name not in named:
        return Grid("", (), ())
    return differences("Subject by subject", first.name, named, MEASURES)


def numbers(text: str) -> list[float]:
    """Of a list with commas."""
    return [float(each) for each in text.split(",")]


def main() -> None:
    """Measures, then prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--subjects", type=int, default=20)
    parser.add_argument("--steps", type=numbers, default=[0, 100, 400], help="of customization")
    parser.add_argument("--details", type=numbers, default=[0, 2, 4], help="t_s of the edits")
    parser.add_argument("--train", default="lora")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--sheets", type=Path)
    asked = parser.parse_args()
    folder = ModelFolder.found(asked.model)
    asked.side = folder.metadata.short_side
    asked.grid = [GridPoint(int(steps), detail) for steps in sorted(asked.steps) for detail in sorted(asked.details)]
    identity = {"model": asked.model, "train": asked.train, "digest": digest(folder.path), "judge": digest(WEIGHTS)}
    results = ResultsFile(asked.results, identity)
    scorer = SubjectScorer(Judge.opened(), ClipPair.opened(EMBEDDED, torch.device("cpu")))
    for number in range(asked.first, asked.first + asked.subjects):
        measure(number, asked, results, scorer)
        print(f"subject {number}", file=sys.stderr, flush=True)
    print(report(results, asked.grid))


if __name__ == "__main__":
    main()
