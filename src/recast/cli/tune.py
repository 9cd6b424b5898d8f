"""`recast tune`: a model learns one captioned clip; what comes of it is an adapter folder."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import FLAGS, Flag, Input, Json, Overwrite, Quiet, flagged
from recast.cli.progress import peak_gib, shown
from recast.cli.table import visible

TUNE_FLAGS: dict[str, Flag] = {
    "train": Flag(
        ("--train",),
        "one-shot|tune-a-video|dreamix|motion-director|simda|save|ei2|controlvideo|latent-shift|lora|spectral|PATTERN",
        about="What is trained: queries and layers over time (one-shot, the default, and tune-a-video), all weights "
        "(dreamix), motion and look apart (motion-director), adapters in an image model (simda), singular values of "
        "tune-a-video's weights (save), its weights in an image model that shifts little (ei2), self-attention to the "
        "first frame and layers over time (controlvideo), all of an image model whose channels shift over time "
        "(latent-shift), low-rank changes of the attention's projections, shifts of their singular values, or "
        "weights by a pattern of their names.",
    ),
    "steps": Flag(("--steps",), "N", about="Training steps (default 500)."),
    "frames": Flag(("--frames",), "N", about="Frames to learn from, evenly spaced (default 8)."),
    "rate": Flag(("--rate",), "NUMBER", about="Peak learning rate; of what is trained, if not said."),
    "rank": Flag(("--rank",), "N", about="Rank of lora (default 16)."),
    "attention": Flag(
        ("--attention",),
        "own|first|first-previous|latent-shift|fine-coarse",
        about="What self-attention looks at: its own frame, the first one, the first and the previous one, as "
        "one-shot does, its own and places of those before, or its own and all others coarsely.",
    ),
    "temporal": Flag(
        ("--temporal",),
        "difference|matched|second|debiased|none",
        about="Temporal loss: difference of neighbouring frames (most have it), matched to the source's, second, or "
        "debiased of the look.",
    ),
    "temporal_weight": Flag(("--temporal-weight",), "NUMBER", about="Its weight (default .05; second .2, debiased 1)."),
    "latent": Flag(("--latent",), "clean|noise", about="Its latents: as predicted, or the predicted noise."),
    "images": Flag(
        ("--images",), "0..1", about="Share of the steps that see one frame as a picture; .5 where it has to."
    ),
    "shift_weight": Flag(
        ("--shift-weight",), "NUMBER", about="Weight of SAVE's regularizer of shifts (save .001, spectral 0)."
    ),
    "seed": Flag(("--seed",), "N", about="Chooses frames, noise, noise levels and first weights (default 0)."),
    "precision": Flag(("--precision",), "auto|bf16|fp32", "With what", about="Of products (default auto)."),
} | {
    name: FLAGS[name]
    for name in (
        "model",
        "structure",
        "structure_detail",
        "start",
        "end",
        "duration",
        "max_frames",
        "on_damage",
        "size",
        "device",
    )
}
"""Every setting of a tuning by name, as it is given on the command line."""


@flagged(*TUNE_FLAGS, among=TUNE_FLAGS)
def tune(
    source: Input,
    *,
    caption: Annotated[str, typer.Option("--caption", metavar="TEXT", help="What the clip shows.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="The adapter (default IN-adapter in this folder)."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Tune a model on one captioned clip; the adapter folder is for `recast edit --adapter DIR`.

    A stopped run goes on where it was when the same command is given again.
    """
    target = output or Path(f"{source.stem or source.resolve().name}-adapter")
    given = {name: value for name, value in options.items() if value not in (None, [])}
    began = time.monotonic()
    with shown(quiet=quiet) as watch:
        from recast.editing.tune import tune as tuned

        tuned(source, caption=caption, output=target, overwrite=overwrite, watch=watch, **given)
    tell_adapter(target, "tuned", began, as_json=as_json, quiet=quiet)


def tell_adapter(folder: Path, done: str, began: float, *, as_json: bool, quiet: bool) -> None:
    """Says where the adapter is and how long it took. began: on the monotonic clock, in seconds."""
    took = time.monotonic() - began
    if as_json:
        print(json.dumps({"output": str(folder), "seconds": round(took, 2), "peak_gib": round(peak_gib(), 2)}))
    elif not quiet:
        print(visible(f"{folder}: {done} in {took:.1f} s"), file=sys.stderr)
