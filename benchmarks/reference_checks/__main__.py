"""Runs the checks and prints a row for each; exit code 1 where ours differs by more than 1e-5."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from benchmarks.reference_checks import attention, differences, guidance, maps, starts, tokens, walks
from benchmarks.reference_checks.published import LARGEST_GAP, AbsentError, Check, Published, Repository

CHECKS: tuple[Check, ...] = (
    *attention.CHECKS,
    *differences.CHECKS,
    *guidance.CHECKS,
    *maps.CHECKS,
    *starts.CHECKS,
    *tokens.CHECKS,
    *walks.CHECKS,
)
HEADER = ("method", "published / ours", "repository at commit", "largest difference", "verdict", "put aside")


def row(check: Check, folder: Path) -> tuple[str, ...]:
    """One check as a row of the table."""
    named = f"{check.repository}"
    try:
        repository = Repository.found(folder, check.repository)
        named = f"{check.repository} at {repository.commit[:10]}"
        largest = check.gap(Published(repository, check.path))
    except AbsentError as absent:
        return check.method, check.compared, named, "", f"skipped: {absent}", check.aside
    verdict = "agrees" if largest <= LARGEST_GAP else "DIFFERS"
    return check.method, check.compared, named, f"{largest:.1e}", verdict, check.aside


def rows(folder: Path, only: str) -> Iterator[tuple[str, ...]]:
    """The rows of the methods asked for."""
    return (row(check, folder) for check in CHECKS if only in ("", check.method))


def main() -> int:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=Path, required=True, help="a folder of owner/name or owner+name")
    parser.add_argument("--only", default="", help="a method")
    asked = parser.parse_args()
    torch.set_grad_enabled(False)
    verdicts = []
    for each in (HEADER, ("---",) * len(HEADER)):
        print("|", " | ".join(each), "|")
    for each in rows(asked.repositories, asked.only):
        print("|", " | ".join(each), "|", flush=True)
        verdicts.append(each[4])
    return int("DIFFERS" in verdicts)


if __name__ == "__main__":
    sys.exit(main())
