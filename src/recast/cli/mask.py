"""`recast mask`: a region marked in one frame, followed through the clip, as a mask for edits."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Input, Json, Overwrite, Quiet
from recast.errors import RequestError

FOLLOWED_PX = 240
"""Short side in pixels at which regions are followed."""
DOUBTFUL = 0.5
"""Confidence below which a frame is named."""
_BOX = re.compile(r"(\d+),(\d+),(\d+),(\d+)(?:@(\d+))?")


def mask(  # noqa: PLR0913 -- each is a flag
    source: Input,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT", help="A video (mkv), or a name without ending for PNG files."),
    ],
    *,
    box: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H[@FRAME]", help="A box in pixels, in frame FRAME (0 if not said).")
    ] = None,
    still: Annotated[
        Path | None, typer.Option(metavar="PNG", help="A painted frame instead: white, or opaque, is marked.")
    ] = None,
    frame: Annotated[int, typer.Option(metavar="N", help="The frame that the still was painted on.")] = 0,
    grow: Annotated[
        int, typer.Option(metavar="PX", help="Grow the region by so many pixels; less than 0 shrinks.")
    ] = 0,
    invert: Annotated[bool, typer.Option("--invert", help="White where the region is not.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Follow a box or a painted frame through a clip, and write the mask for `recast edit --mask`."""
    if (box is None) == (still is None):
        raise RequestError("a mask is made of --box or of --still; give one of them")
    place, at = (None, frame) if box is None else _parsed(box)

    from recast.editing.followed import follow
    from recast.video.read import opened
    from recast.video.write import writing

    clip = opened(source)
    found = follow(clip, at, box=place, still=still, short_side=FOLLOWED_PX)
    found = replace(found, masks=found.shaped(grow, invert=invert))
    with writing(output, clip, found.window, record=None, overwrite=overwrite, codec=_lossless(output)) as writer:
        for picture, like in found.pictures(clip):
            writer.add(picture, like)
    _report(output, found.confidence, as_json=as_json, quiet=quiet)


def _report(output: Path, confidence: tuple[float, ...], *, as_json: bool, quiet: bool) -> None:
    doubtful = [number for number, share in enumerate(confidence) if share < DOUBTFUL]
    if as_json:
        print(json.dumps({"output": str(output), "confidence": [round(share, 3) for share in confidence]}))
    elif not quiet:
        print(f"{output}: {len(confidence)} masks, confidence {min(confidence):.2f} to 1", file=sys.stderr)
        if doubtful:
            named = f"from {doubtful[0]} on" if len(doubtful) > 1 else str(doubtful[0])
            print(f"note: {len(doubtful)} frames are below {DOUBTFUL}, {named}: look at them", file=sys.stderr)


def _parsed(box: str) -> tuple[tuple[int, int, int, int], int]:
    matched = _BOX.fullmatch(box)
    if matched is None:
        raise RequestError(f"the box {box[:40]!r} is not of the form X,Y,W,H@FRAME, in whole pixels")
    left, top, width, height, at = (int(each or 0) for each in matched.groups())
    return (left, top, width, height), at


def _lossless(output: Path) -> str:
    return "ffv1" if output.suffix.lower() in (".mkv", ".avi") else "auto"
