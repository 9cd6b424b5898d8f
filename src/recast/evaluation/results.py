"""Many items measured by several processes; what each gives is kept in a file as soon as it is there."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from recast.errors import RequestError
from recast.jobs.processes import processes
from recast.progress import ProgressCallback

Item = TypeVar("Item")


@dataclass(frozen=True)
class ResultsFile:
    """A line of JSON for each item, below one of what they have in common. path: None keeps nothing.

    identity: what rows must have in common to be put together, in JSON's types.
    """

    path: Path | None
    identity: Mapping[str, Any]

    def rows(self) -> dict[str, Any]:
        """What an earlier run found, by item. Raises RequestError where it measured something else, or for no place."""
        return dict(self.lines())

    def lines(self) -> list[tuple[str, Any]]:
        """What earlier runs found, line by line; an item measured in parts has several. Raises as `rows`."""
        if self.path is None:
            return []
        check_place(self.path)
        if not self.path.exists():
            return []
        head, (first, *lines) = json.dumps(self.identity), self.path.read_text("utf-8", errors="replace").split("\n")
        if not lines and first != head and head.startswith(first):  # killed before its first line was whole
            self.path.unlink()
            return []
        if first != head:
            raise RequestError(f"{self.path} holds results of another model, judge or setting; name another file")
        return [(row["task"], row["outcomes"]) for row in map(_row, lines) if row]

    def add(self, task: str, outcomes: object) -> None:
        """Adds what one item gave, in JSON's types."""
        if self.path is None:
            return
        new = not self.path.exists()
        row = json.dumps({"task": task, "outcomes": outcomes})
        with self.path.open("a", encoding="utf-8") as lines:
            # The break comes first, so that a line that a killed run left unfinished spoils no other.
            lines.write(f"{json.dumps(self.identity) if new else ''}\n{row}")


def check_place(target: Path) -> None:
    """Raises RequestError where a file of that name cannot be made: its folder is missing, or it is one itself."""
    if target.is_dir():
        raise RequestError(f"{target} is a folder; name a file")
    if not target.absolute().parent.is_dir():
        raise RequestError(f"there is no folder {target.parent} to write {target.name} to; make it first")


@dataclass(frozen=True)
class Workers:
    """Processes that measure. prepare: called in each before its first item, where there are several."""

    jobs: int
    prepare: Callable[[], object]


def collected(
    items: Mapping[str, Item],
    measure: Callable[[Item], Any],
    file: ResultsFile,
    workers: Workers,
    watch: ProgressCallback,
) -> dict[str, Any]:
    """What `measure` gives for each item, by its name, in the items' order; what the file has is not measured again.

    measure: gives JSON's types. It and `prepare` can be pickled.
    """
    found = file.rows()
    missing = {name: item for name, item in items.items() if name not in found}
    found |= dict(measured(missing, measure, file, workers, watch))
    return {name: found[name] for name in items}


def measured(
    items: Mapping[str, Item],
    measure: Callable[[Item], Any],
    file: ResultsFile,
    workers: Workers,
    watch: ProgressCallback,
) -> Iterator[tuple[str, Any]]:
    """What `measure` gives for each item, by its name, as they come; each is in the file before it is told."""
    watch("evaluate", 0, len(items))
    for number, (name, outcomes) in enumerate(_worked(items, measure, workers), 1):
        file.add(name, outcomes)
        watch("evaluate", number, len(items))
        yield name, outcomes


def _worked(items: Mapping[str, Item], measure: Callable[[Item], Any], workers: Workers) -> Iterator[tuple[str, Any]]:
    if workers.jobs == 1 or len(items) < 2:
        yield from ((name, measure(item)) for name, item in items.items())
        return
    with processes(min(workers.jobs, len(items)), partial(_prepare, workers)) as pool:
        futures = {pool.submit(measure, item): name for name, item in items.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _prepare(workers: Workers) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers.jobs))
    workers.prepare()


def _row(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {}
