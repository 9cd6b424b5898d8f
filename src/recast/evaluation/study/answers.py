"""Answers of raters, kept line by line as they come: a kill loses none that was confirmed."""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recast.errors import MediaError, RequestError, known
from recast.evaluation.study.plan import CLIPS, StudyPlan
from recast.evaluation.suites.layouts import table_rows
from recast.files import whole_file

ANSWERS = "answers.jsonl"
CHOICES = ("left", "same", "right")
CROWD_COLUMNS = {"rater": ("rater", "WorkerId"), "item": ("item", "Input.item"), "answer": ("answer", "Answer.answer")}
"""Columns of a crowd platform's results: ours, or those that Mechanical Turk makes of them."""
_TURNED, _STRAIGHT = "b", "a"


@dataclass(frozen=True)
class StudyAnswer:
    """One rater's answer on a pair. choice: of CHOICES. turned: whether the second clip was on the left."""

    rater: str
    pair: str
    choice: str
    turned: bool
    seconds: float = 0.0

    @property
    def vote(self) -> int:
        """1 for the first clip of the pair, -1 for the second, 0 where they are alike to the rater."""
        side = CHOICES.index(self.choice) - 1
        return side if self.turned else -side


def add_answer(folder: Path, answer: StudyAnswer) -> None:
    """Adds an answer to a study; on the disk when this returns."""
    with (folder / ANSWERS).open("a", encoding="utf-8") as lines:
        # The break comes first, so that a line that a killed run left unfinished spoils no other.
        lines.write("\n" + json.dumps(asdict(answer)))
        lines.flush()
        os.fsync(lines.fileno())


def read_answers(folder: Path) -> list[StudyAnswer]:
    """All answers of a study, the last where a rater has answered twice; a line left unfinished is passed over."""
    path = folder / ANSWERS
    if not path.exists():
        return []
    lines = path.read_text("utf-8", errors="replace").split("\n")
    return latest(answer for line in lines if (answer := _answer(line)) is not None)


def latest(answers: Iterable[StudyAnswer]) -> list[StudyAnswer]:
    """The last answer of each rater on each pair, in the order of the first."""
    return list({(each.rater, each.pair): each for each in answers}.values())


def write_crowd(plan: StudyPlan, target: Path, base: str) -> int:
    """A task for each rating as CSV, as crowd platforms take it; returns their number. base: where clips will be.

    A row has the seat's clips in the order and on the sides of the plan, so a platform asks each row once.
    """
    head = ("item", "seat", "prompt", "question", "source_url", "left_url", "right_url")
    rows = [row for number, _ in enumerate(plan.seats, 1) for row in _tasks(plan, number, base.rstrip("/"))]
    with whole_file(target) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return len(rows)


def read_crowd(plan: StudyPlan, path: Path) -> list[StudyAnswer]:
    """Answers from a crowd platform's CSV file. Raises MediaError, and RequestError for what is no answer."""
    answers = []
    for number, row in enumerate(table_rows(path, ()), 2):
        cells = {name: _cell(row, name, columns, path) for name, columns in CROWD_COLUMNS.items()}
        item, ending = cells["item"][:-1], cells["item"][-1:]
        if ending not in (_TURNED, _STRAIGHT):
            raise RequestError(f"line {number} has the item {cells['item'][:40]!r}, which is none of a study; {path}")
        answers.append(
            StudyAnswer(
                cells["rater"],
                plan.pair(item).name,
                known("answer", cells["answer"].lower(), CHOICES),
                ending == _TURNED,
            )
        )
    if not answers:
        raise MediaError(f"there is no answer in {path}")
    return latest(answers)


def _tasks(plan: StudyPlan, seat: int, base: str) -> Iterator[Sequence[Any]]:
    for name, turned in plan.seats[seat - 1].items:
        pair = plan.pair(name)
        films = pair.films[::-1] if turned else pair.films
        urls = [f"{base}/{CLIPS}/{each}.mp4" for each in (pair.source, *films)]
        yield name + (_TURNED if turned else _STRAIGHT), seat, pair.prompt, plan.question, *urls


def _cell(row: dict[str, str], name: str, columns: tuple[str, ...], path: Path) -> str:
    held = next((row[column] for column in columns if row.get(column)), None)
    if held is None:
        raise RequestError(
            f"the answers have no column {' or '.join(columns)} ({name}), or an empty cell in it; {path}"
        )
    return held


def _answer(line: str) -> StudyAnswer | None:
    try:
        answer = TypeAdapter(StudyAnswer).validate_json(line)
    except ValidationError:
        return None
    return answer if answer.choice in CHOICES else None
