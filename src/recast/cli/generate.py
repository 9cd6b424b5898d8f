"""`recast generate`: a clip from words or a picture, without a source."""

from pathlib import Path
from typing import Annotated

import typer

from recast.cli.edit import run
from recast.cli.flags import FLAGS, Flag, Json, Overwrite, Quiet, Settings, flagged, request_from

_KEPT = (
    "words",
    "pictures",
    "negative",
    "model",
    "schedules",
    "window",
    "codec",
    "cfg",
    "temporal_guidance",
    "guidance",
)
_KEPT_TOO = ("steps", "scheduler", "seed", "adapters", "decoder", "device", "dtype", "attention", "compiler")
GENERATE_FLAGS: dict[str, Flag] = {
    **{name: FLAGS[name] for name in _KEPT},
    "storyboard": Flag(("--storyboard",), "FILE", "What"),
    "layout": Flag(("--layout",), "FILE", "What"),
    "strokes": Flag(("--strokes",), "FILE", "What"),
    "noise": Flag(
        ("--noise",),
        "NAME",
        "How",
        about="What the walk starts from: own, shared, mixed, progressive, residual, freenoise or freeinit.",
    ),
    "long": Flag(
        ("--long",),
        "NAME",
        "How",
        about="How a clip longer than a window is made: overlap, gen-l-video, stream or keys.",
    ),
    **{name: FLAGS[name] for name in _KEPT_TOO},
    "size": Flag(
        ("--size",), "PX|WxH", "What", about="Its size; a number is the short side; the model's own if not given."
    ),
    "max_frames": Flag(("--frames",), "N", "What", about="How many frames; as the model learned from if not given."),
    "duration": Flag(("-t", "--duration"), "TIME", "What", about="How long, in place of --frames."),
    "fps": Flag(("--fps",), "NUMBER", "What", about="Frames a second; the model's own, or 8, if not given."),
}
"""Settings of a clip without a source by name, as they are given on the command line."""


@flagged(*GENERATE_FLAGS, among=GENERATE_FLAGS)
def generate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The clip.")],
    *,
    settings: Settings = None,
    overwrite: Overwrite = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would take; make nothing.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: object,
) -> None:
    """Make a clip from words or a picture alone, by a model that can; nothing is edited."""
    from recast.editing.generate import USUAL
    from recast.editing.storyboard import with_storyboard

    request = request_from(None, output, {"method": USUAL} | options, settings, overwrite=overwrite)
    whole = with_storyboard(request)
    if plan:
        from recast.cli.plan import tell_generation

        tell_generation(whole, as_json=as_json)
    else:
        run(whole, as_json=as_json, quiet=quiet)
