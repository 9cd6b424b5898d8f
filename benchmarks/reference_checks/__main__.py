"""Our editors and measures beside the published code. Exit code 1 where one differs, or a check does not run.

Editors differ by more than 1e-5, measures by more than 1e-6.

Without a folder of fetched repositories every check is skipped, with a line.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from benchmarks.reference_checks import (
    attention,
    correspondences,
    differences,
    flows,
    further,
    geometry,
    guidance,
    injected,
    looking,
    maps,
    metrics,
    pictures,
    starts,
    tokens,
    uniedit,
    walks,
    weights,
)
from benchmarks.reference_checks.published import AbsentError, Check, Published, Repository

from recast.methods import METHODS

FILES = (
    attention,
    injected,
    tokens,
    maps,
    geometry,
    correspondences,
    flows,
    walks,
    differences,
    uniedit,
    guidance,
    further,
    starts,
    weights,
    pictures,
    looking,
    metrics,
)
CHECKS: tuple[Check, ...] = tuple(check for file in FILES for check in file.CHECKS)
UNPUBLISHED = {
    "edit-a-video": "its code is not public",
    "gen1": "its code is not public",
    "infusion": "its repository (infusion-zero-edit/InFusion) has no code",
    "magicprop": "its code is not public",
    "make-a-protagonist": "it adds contents to features of Stable unCLIP's blocks; ours are by cross-attention",
    "sdedit": "a plain walk from the noised source: the samplers' tests compare with diffusers",
    "videocontrolnet": "its repository (ZhihaoHu/VideoControlNet) has no code",
}
"""Methods that cannot be compared, and why."""
HEADER = ("method", "published / ours", "repository at commit", "largest difference", "verdict", "put aside")


def row(check: Check, folder: Path) -> tuple[str, ...]:
    """One check as a row of the table."""
    named, largest = check.repository, ""
    try:
        repository = Repository.found(folder, check.repository)
        named = f"{check.repository} at {repository.commit[:10]}"
        found = check.gap(Published(repository, check.path))
        largest, verdict = f"{found:.1e}", "agrees" if found <= check.bound else "DIFFERS"
    except AbsentError as absent:
        verdict = f"skipped: {absent}"
    except Exception as failure:
        verdict = f"FAILED: {type(failure).__name__}: {failure}"
    return check.method, check.compared, named, largest, verdict, check.aside


def rows(folder: Path, only: str) -> Iterator[tuple[str, ...]]:
    """The rows of the method asked for, or of all; behind them the methods that have none."""
    yield from (row(check, folder) for check in CHECKS if only in ("", check.method))
    for method in sorted({*METHODS} - {check.method for check in CHECKS}):
        if only in ("", method):
            yield method, "", "", "", f"not compared: {UNPUBLISHED.get(method, 'no check yet')}", ""


def main() -> int:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=Path, required=True, help="a folder of owner/name or owner+name")
    parser.add_argument("--only", default="", help="a method")
    asked = parser.parse_args()
    torch.set_grad_enabled(False)
    good = True
    for each in (HEADER, ("---",) * len(HEADER), *rows(asked.repositories, asked.only)):
        print("|", " | ".join(each), "|", flush=True)
        good = good and not each[4].startswith(("DIFFERS", "FAILED"))
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
