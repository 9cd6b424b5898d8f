"""`recast reproduce`: the papers' claims, measured on worlds with known truth."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.evaluate import workers
from recast.cli.flags import Json, Quiet, listed
from recast.cli.progress import shown
from recast.cli.table import table, visible

if TYPE_CHECKING:
    from recast.evaluation.claims.reproduce import Reproduction
    from recast.evaluation.claims.verdicts import ClaimResult

FIRST = 100
"""Worlds from here on are for publishing."""


def reproduce(  # noqa: PLR0913 -- one parameter for each flag
    count: Annotated[
        int | None, typer.Argument(metavar="[N]", min=1, help="How many worlds (default 100, with --quick 8).")
    ] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small worlds of 128 px and no ensembles: minutes in place of days.")
    ] = False,
    claims: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Only these claims or groups, such as temporal,masks-kept.")
    ] = None,
    first: Annotated[
        int, typer.Option(metavar="N", min=0, help="Number of the first world; those from 1000 on are for choosing.")
    ] = FIRST,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Noises for each world.")] = 1,
    model: Annotated[str, typer.Option("-m", "--model", metavar="NAME|FOLDER", help="Gen-1's model.")] = "pocket",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="What to compute on.")] = "auto",
    jobs: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes (default: one a core).")] = None,
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Stores outcomes; the same command resumes from it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the claims and count the edits, and stop.")] = False,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure each claim of the Gen-1 and one-shot depth papers: holds, fails or open, with 95 % intervals."""
    asked = replace(_asked(model, device, claims, quick=quick), seeds=seeds, results=results)
    worlds = range(first, first + (count or len(asked.worlds)))
    asked = replace(asked, worlds=worlds, jobs=jobs or workers(asked.run.device))
    if dry_run:
        return _list(asked)
    with shown(quiet=quiet) as watch:
        from recast.evaluation.claims.reproduce import reproduced

        found = reproduced(asked, watch)
    return _tell(asked, found, _command(asked, quick=quick, claims=claims), as_json=as_json, markdown=markdown)


def _asked(model: str, device: str, claims: str | None, *, quick: bool) -> "Reproduction":
    """On the usual number of worlds, one seed each."""
    from recast.engine.device import chosen_device
    from recast.evaluation.claims.arms import ClaimRun
    from recast.evaluation.claims.reproduce import QUICK_OPTIONS, QUICK_SIDE, QUICK_WORLDS, WORLDS, Reproduction
    from recast.evaluation.claims.table import chosen

    where = chosen_device(device).type
    run = ClaimRun(model, where, QUICK_SIDE, QUICK_OPTIONS) if quick else ClaimRun(model, where)
    worlds = range(FIRST, FIRST + (QUICK_WORLDS if quick else WORLDS))
    return Reproduction(run, chosen(listed(claims or "")), worlds)


def _list(asked: "Reproduction") -> None:
    rows: list[tuple[str, ...]] = [
        (name, claim.where, claim.says, "; ".join(arm.label for arm in claim.arms) or claim.needs)
        for name, claim in asked.claims.items()
    ]
    table(("claim", "paper", "says", "between, or needs"), rows)
    print(f"{len(asked.claims)} claims, {len(asked.items)} clips to make and measure on {len(asked.worlds)} worlds")


def _tell(asked: "Reproduction", found: "list[ClaimResult]", command: str, *, as_json: bool, markdown: bool) -> None:
    from recast.evaluation.claims.reproduce import tally, to_json, to_markdown
    from recast.evaluation.claims.verdicts import HEADINGS, rows

    if as_json:
        print(json.dumps(to_json(asked, found, command)))
    elif markdown:
        print(to_markdown(asked, found, command))
    else:
        for name, value in asked.head.items():
            print(visible(f"{name}: {value}"))
        table(HEADINGS, rows(found))
        print(tally(found))


def _command(asked: "Reproduction", *, quick: bool, claims: str | None) -> str:
    """What to type to measure the same, without where results went."""
    flags = {
        str(len(asked.worlds)): True,
        "--quick": quick,
        f"--claims {claims}": claims is not None,
        f"--first {asked.worlds[0]}": asked.worlds[0] != FIRST,
        f"--seeds {asked.seeds}": asked.seeds > 1,
        f"--model {asked.run.model}": asked.run.model != "pocket",
    }
    return " ".join(["recast reproduce", *(flag for flag, needed in flags.items() if needed)])
