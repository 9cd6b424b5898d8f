"""`recast partial`: what is finished of a long edit that was stopped, as a clip."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.edit import tell_result
from recast.cli.flags import Json, Overwrite, Quiet
from recast.cli.progress import shown
from recast.cli.table import visible

if TYPE_CHECKING:
    from recast.editing.partial import UnfinishedEdit

PartialOutput = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="PART", help="The clip (default OUT-partial.mp4 beside OUT).")
]


def partial(
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The result that the edit was to have, or its folder OUT.job.")
    ],
    output: PartialOutput = None,
    *,
    trust: Annotated[bool, typer.Option("--trust", help="Read files that the job names anywhere else.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write out what is finished of a long edit that was stopped; the edit can still go on.

    It reads what the job's folder names beside it or in the current folder.
    """
    from recast.cli.trust import check_allowed, named_by
    from recast.editing.partial import partial_name, unfinished_edit

    with unfinished_edit(target) as unfinished:
        named_files = named_by(unfinished.request, ())
        check_allowed(named_files, unfinished.whole, trust=trust)
        if named_files and not quiet:
            files = ", ".join(f"{each.setting} {each.path}" for each in named_files)
            print("reads what the job names:", visible(files), file=sys.stderr)
        write_out(
            unfinished, output or partial_name(unfinished.whole), overwrite=overwrite, as_json=as_json, quiet=quiet
        )


def write_out(unfinished: "UnfinishedEdit", target: Path, *, overwrite: bool, as_json: bool, quiet: bool) -> None:
    """Writes it, shows how it goes, and says at the end where it is."""
    from recast.editing.partial import check_partial, write_partial

    check_partial(unfinished, target, overwrite=overwrite)
    began = time.monotonic()
    with shown(quiet=quiet) as watch:
        from recast.editing.loaded import Model

        watch("load", 0, 1)
        model = Model.asked(unfinished.request)
        watch("load", 1, 1)
        result = write_partial(unfinished, target, model, watch, overwrite=overwrite)
    tell_result(target, result, time.monotonic() - began, as_json=as_json, quiet=quiet)
