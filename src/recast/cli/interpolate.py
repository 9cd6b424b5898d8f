"""`recast interpolate`: a clip at another frame rate, with new frames between its own."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Input, Json, Overwrite, Quiet, Settings, flagged, request_from
from recast.cli.progress import shown
from recast.cli.propagate import tell_written
from recast.errors import RequestError

OF_A_MODEL = (
    *("words", "pictures", "negative", "method", "strength", "structure_detail", "cfg", "steps", "seed"),
    *("window", "size", "adapters"),
)
USUAL_TIMES = 2


@flagged("flow", "cuts", "codec", "hdr", "interlaced", "alpha", "on_damage", "model", *OF_A_MODEL, "device", "dtype")
def interpolate(
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The result.")],
    *,
    factor: Annotated[
        int | None, typer.Option("--factor", metavar="N", help="So many times as many frames (default 2).")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="FPS", help="Or so many a second, as 60 or 60000/1001.")
    ] = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Make frames between a clip's own, by optical flow, or by a model (-m, -p) that is held to them.

    Length, size and sound are kept, and so are the clip's own frames. Across cuts frames are held.
    """
    wanted = USUAL_TIMES if factor is None and rate is None else factor
    frames_a_second = None if rate is None else _rate(rate)
    modelled = options.get("model") is not None
    _check_model_settings(options, modelled=modelled)
    request = request_from(source, output, options, settings, overwrite=overwrite)
    if request.knobs and not modelled:
        raise RequestError(f"--set {next(iter(request.knobs))} is for a model, and flow reads none; name one with -m")
    with shown(quiet=quiet) as watch:
        from recast.editing.held_keys import interpolate_by
        from recast.editing.interpolate import Rate

        notes = interpolate_by(request, Rate(wanted, frames_a_second), modelled=modelled, watch=watch)
    tell_written(output, notes, as_json=as_json, quiet=quiet)


def _rate(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise RequestError(f"{text[:40]!r} is no rate; write frames a second, as 60, 29.97 or 30000/1001") from None


def _check_model_settings(options: dict[str, object], *, modelled: bool) -> None:
    given = [name for name in OF_A_MODEL if options.get(name) not in (None, [])]
    if given and not modelled:
        flag = {"words": "prompt", "pictures": "image", "adapters": "adapter"}.get(given[0], given[0].replace("_", "-"))
        raise RequestError(f"--{flag} is for a model, and flow reads none; name one with -m, or leave it out")
