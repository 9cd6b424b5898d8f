"""`recast mask`: a region marked in one frame, followed through the clip, as a mask for edits."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Input, Json, Overwrite, Quiet
from recast.cli.table import visible
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.editing.followed import FollowedFile
    from recast.video.read import Source

FOLLOWED_PX = 240
"""Short side in pixels at which regions are followed."""
DOUBTFUL = 0.5
"""Confidence below which a frame is named."""
_BOX = re.compile(r"(\d+),(\d+),(\d+),(\d+)(?:@(\d+))?")


BoxOption = Annotated[
    str | None, typer.Option(metavar="X,Y,W,H[@FRAME]", help="A box in pixels, in frame FRAME (0 if not said).")
]
StillOption = Annotated[
    Path | None, typer.Option(metavar="PNG", help="A painted frame instead: white, or opaque, is marked.")
]
WordsOption = Annotated[
    list[str] | None, typer.Option("--words", metavar="TEXT", help="What is marked, in words; may be repeated.")
]
LikelyOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Of --words: how likely a place must be to be marked (.5 by clipseg, .3 by grounded-sam)."
    ),
]
FrameOption = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="The frame of the still (0 if not said); of --words: see it alone, and follow."
    ),
]
SegmenterOption = Annotated[
    str, typer.Option("-m", "--model", metavar="NAME|FOLDER", help="Of --words: a folder with a segmenter.")
]
GrowOption = Annotated[int, typer.Option(metavar="PX", help="Grow the region by so many pixels; less than 0 shrinks.")]
DamageOption = Annotated[
    str, typer.Option("--on-damage", metavar="fail|warn|repeat", help="What to do about a damaged clip, as of an edit.")
]


def mask(  # noqa: PLR0913 -- each is a flag
    source: Input,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="OUT", help="A video (mkv), or a name without ending for PNG files."),
    ],
    *,
    box: BoxOption = None,
    still: StillOption = None,
    words: WordsOption = None,
    likely: LikelyOption = None,
    model: SegmenterOption = "clipseg",
    frame: FrameOption = None,
    grow: GrowOption = 0,
    invert: Annotated[bool, typer.Option("--invert", help="White where the region is not.")] = False,
    on_damage: DamageOption = "fail",
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Mark a box, a painted frame or what words name through a clip, and write the mask for `recast edit --mask`."""
    if sum(bool(each) for each in (box, still, words)) != 1:
        raise RequestError("a mask is made of --box, of --still or of --words; give one of them")
    place, at = (None, frame or 0) if box is None else _parsed(box)

    from recast.editing.followed import follow
    from recast.video.read import opened
    from recast.video.write import writing

    clip = opened(source, on_damage)
    if words:
        found = _by_words(clip, words, model, likely=likely, frame=frame)
    else:
        found = follow(clip, at, box=place, still=still, short_side=FOLLOWED_PX)
    found = replace(found, masks=found.shaped(grow, invert=invert))
    with writing(output, clip, found.window, record=None, overwrite=overwrite, codec=_lossless(output)) as writer:
        for picture, like in found.pictures(clip):
            writer.add(picture, like)
    _report(output, clip, found.confidence, as_json=as_json, quiet=quiet)


def _by_words(
    clip: "Source", words: list[str], model: str, *, likely: float | None, frame: int | None
) -> "FollowedFile":
    from recast.conditions.segmenters import segmenter_of
    from recast.editing.followed import named_by_words, named_once
    from recast.engine.device import chosen_device
    from recast.model.folder import ModelFolder

    segmenter = segmenter_of(ModelFolder.found(model), chosen_device("auto"))
    share = segmenter.usual if likely is None else likely
    if frame is None:
        return named_by_words(clip, words, segmenter, share)
    return named_once(clip, words, segmenter, share, at=frame, short_side=FOLLOWED_PX)


def _report(output: Path, clip: "Source", confidence: tuple[float, ...], *, as_json: bool, quiet: bool) -> None:
    if clip.damage:
        print(f"note: {visible(clip.notes[-1])}", file=sys.stderr)
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
