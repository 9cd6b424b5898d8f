"""`recast customize`: a model learns a subject from pictures; what comes of it is an adapter folder."""

import time
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import FLAGS, Flag, Json, Overwrite, Quiet, flagged
from recast.cli.progress import shown
from recast.cli.tune import TUNE_FLAGS, tell_adapter

CUSTOMIZE_FLAGS: dict[str, Flag] = {
    "train": Flag(
        ("--train",),
        "lora|full|embedding",
        about="What is trained: low-rank changes of the attention's projections (the default), all weights but those "
        "over time, or only what the token means.",
    ),
    "steps": Flag(("--steps",), "N", about="Training steps (default 400)."),
    "batch": Flag(("--batch",), "N", about="Pictures in a step, half of the subject, half prior data (default 4)."),
    "prior": Flag(("--prior",), "N", about="Pictures of the class that the model makes as prior data (default 24)."),
    "prior_weight": Flag(("--prior-weight",), "NUMBER", about="Weight of the prior data's loss (default 1)."),
    "rate": Flag(("--rate",), "NUMBER", about="Learning rate; of what is trained, if not said."),
    "seed": Flag(("--seed",), "N", about="Chooses pictures, noise, noise levels and first weights (default 0)."),
    "structure_detail": Flag(("--structure-detail",), "0..7", "How", about="Learn one t_s alone; all, if not said."),
    "size": Flag(("--size",), "PX", "Which part", about="The side of the squares; the model's own if not given."),
} | {name: (TUNE_FLAGS | FLAGS)[name] for name in ("rank", "precision", "model", "structure", "device")}
"""Every setting of a customization by name, as it is given on the command line."""


@flagged(*CUSTOMIZE_FLAGS, among=CUSTOMIZE_FLAGS)
def customize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="15 to 30 pictures, or folders of them.")],
    *,
    token: Annotated[str, typer.Option("--token", metavar="WORD", help="Names the subject in prompts, such as sks.")],
    class_name: Annotated[str, typer.Option("--class", metavar="TEXT", help="What it is, such as dog.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The adapter.")],
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Teach a model a subject from pictures; the adapter folder is for `recast edit -p "TOKEN ..." --adapter DIR`.

    A stopped run goes on where it was when the same command is given again.
    """
    given = {name: value for name, value in options.items() if value not in (None, [])}
    began = time.monotonic()
    with shown(quiet=quiet) as watch:
        from recast.editing.customize import customize as customized

        asked = {"token": token, "class_name": class_name, "output": output, "overwrite": overwrite}
        customized(photos, watch=watch, **asked, **given)
    tell_adapter(output, "customized", began, as_json=as_json, quiet=quiet)
