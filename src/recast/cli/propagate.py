"""`recast propagate`: frames that the user edited, carried through the whole clip."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Input, Json, Overwrite, Quiet
from recast.cli.progress import shown
from recast.cli.table import visible
from recast.errors import RequestError

_KEY = re.compile(r"(\d{1,9})=(.+)", re.DOTALL)

MaskOption = Annotated[
    Path | None, typer.Option("--mask", metavar="FILE", help="Of an atlas: white is foreground (default by motion).")
]
SizeOption = Annotated[int, typer.Option("--size", min=32, max=2048, metavar="PX", help="Short side to work at.")]
PassesOption = Annotated[int, typer.Option("--passes", min=0, max=1000, metavar="N", help="Of a fit, over the clip.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="Where fits are kept (default IN.substrates).")
]


def propagate(  # noqa: PLR0913 -- each is a flag
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The result.")],
    *,
    key: Annotated[
        list[str], typer.Option("--key", metavar="FRAME=PICTURE", help="A frame as you edited it; may be repeated.")
    ],
    by: Annotated[
        str,
        typer.Option("--by", metavar="flow|patches|atlas|canonical|shape", help="How it gets to the other frames."),
    ] = "flow",
    shape: Annotated[
        list[str] | None,
        typer.Option("--shape", metavar="FRAME=PICTURE", help="Of --by shape: white where the subject then is."),
    ] = None,
    mask: MaskOption = None,
    size: SizeOption = 192,
    passes: PassesOption = 40,
    cache: CacheOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Carry frames that you edited in any program through the clip; frames count from 0."""
    named = [named_picture(each, _KEY, "keyframe", "FRAME=PICTURE, such as 12=painted.png") for each in key]
    keys = {int(number): picture for number, picture in named}
    outlined = [named_picture(each, _KEY, "shape", "FRAME=PICTURE, such as 12=mask.png") for each in shape or ()]
    shapes = {int(number): picture for number, picture in outlined}
    with shown(quiet=quiet) as watch:
        from recast.editing.substrates import SubstrateRequest
        from recast.editing.substrates import propagate as carry

        request = SubstrateRequest(source, mask, size, passes, cache)
        notes = carry(request, keys, output, by=by, shapes=shapes, watch=watch, overwrite=overwrite)
    tell_written(output, notes, as_json=as_json, quiet=quiet)


def named_picture(text: str, form: re.Pattern[str], what: str, example: str) -> tuple[str, Path]:
    """What a picture stands for, and its path. Raises RequestError for text that is not of the form."""
    matched = form.fullmatch(text)
    if matched is None:
        raise RequestError(f"{text[:60]!r} is no {what}; write {example}")
    return matched[1], Path(matched[2])


def tell_written(output: Path, notes: tuple[str, ...], *, as_json: bool, quiet: bool) -> None:
    """Says where a result is, and what of the source it could not keep."""
    for note in notes:
        print("note:", visible(note), file=sys.stderr)
    if as_json:
        print(json.dumps({"output": str(output), "notes": list(notes)}))
    elif not quiet:
        print(visible(f"{output}: written"), file=sys.stderr)
