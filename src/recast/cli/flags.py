"""The flags of an edit, made from the request's fields, so that each setting is described and defaulted once."""

import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from recast.editing.request import FIELDS, Request
from recast.editing.values import quoted
from recast.errors import RequestError


@dataclass(frozen=True)
class Flag:
    """How one setting is given on the command line.

    names: as typed. metavar: what stands behind it in the help. panel: the group in the help.
    repeated: may be given more than once. about: the help; where it is empty, that of the request's field.
    """

    names: tuple[str, ...]
    metavar: str = ""
    panel: str = "What"
    repeated: bool = False
    about: str = ""


FLAGS: dict[str, Flag] = {
    "words": Flag(("-p", "--prompt"), "TEXT[:W]", repeated=True),
    "pictures": Flag(("--image",), "FILE[:W]", repeated=True),
    "negative": Flag(("-n", "--negative"), "TEXT", repeated=True),
    "source_prompt": Flag(("--source-prompt",), "TEXT", repeated=True),
    "mask": Flag(("--mask",), "FILE"),
    "edit": Flag(("--edit",), "inside|outside"),
    "feather": Flag(("--feather",), "PX"),
    "method": Flag(("--method",), "auto|NAME", "How"),
    "model": Flag(("-m", "--model"), "NAME|FOLDER", "How"),
    "structure": Flag(("--structure",), "KIND[:W][@A-B]", "How", repeated=True),
    "structure_from": Flag(("--structure-from",), "KIND=FILE", "How", repeated=True),
    "schedules": Flag(("--schedule",), "NAME=KEYS", "How", repeated=True),
    "structure_detail": Flag(("--structure-detail",), "0..7", "How"),
    "window": Flag(("--window",), "N", "How"),
    "flow": Flag(("--flow",), "FILE", "How"),
    "segment": Flag(("--segment",), "N", "How"),
    "cuts": Flag(("--cuts",), "NAME", "How"),
    "codec": Flag(("--codec",), "NAME", "How"),
    "hdr": Flag(("--hdr",), "convert|tonemap|refuse", "How"),
    "interlaced": Flag(("--interlaced",), "deinterlace|keep|refuse", "How"),
    "alpha": Flag(("--alpha",), "black|keep|refuse", "How"),
    "cfg": Flag(("--cfg",), "NUMBER", "How"),
    "temporal_guidance": Flag(
        ("--temporal-guidance",),
        "NUMBER",
        "How",
        about="How alike neighbouring frames are made; 1 is as trained, less flickers, 1.5 pays from 12 steps on.",
    ),
    "guidance": Flag(
        ("--guidance",),
        "plain|apg|cfg-zero",
        "How",
        about="How guidance is added; apg saturates less at a large --cfg.",
    ),
    "clip_guidance": Flag(("--clip-guidance",), "NUMBER", "How"),
    "clip_pair": Flag(("--clip-pair",), "NAME|FOLDER", "With what"),
    "strength": Flag(("--strength",), "0..1", "How", about="How much is made anew: 0 gives the source back."),
    "steps": Flag(("--steps",), "N", "How"),
    "ensemble": Flag(("--ensemble",), "N", "How"),
    "scheduler": Flag(("--scheduler",), "NAME", "How"),
    "seed": Flag(("--seed",), "N", "How"),
    "start": Flag(("-ss", "--start"), "TIME", "Which part"),
    "end": Flag(("-to", "--end"), "TIME", "Which part"),
    "duration": Flag(("-t", "--duration"), "TIME", "Which part"),
    "max_frames": Flag(("--max-frames",), "N", "Which part"),
    "on_damage": Flag(("--on-damage",), "fail|warn|repeat", "Which part"),
    "size": Flag(("--size",), "PX|WxH", "Which part"),
    "enlarge": Flag(("--enlarge",), "guided|plain", "Which part"),
    "adapters": Flag(("--adapter",), "DIR|FILE[:W]", "With what", repeated=True),
    "decoder": Flag(("--decoder",), "own|tiny", "With what"),
    "device": Flag(("--device",), "auto|cpu|cuda|mps", "With what"),
    "dtype": Flag(("--dtype",), "auto|float32|...", "With what"),
    "attention": Flag(("--attention",), "auto|math|flash|...", "With what"),
    "compiler": Flag(("--compiler",), "none|inductor|cudagraphs", "With what"),
    "vram": Flag(("--vram",), "GIB|auto", "With what"),
}
"""Every setting of an edit by name, as it is given on the command line."""

Input = Annotated[Path, typer.Argument(metavar="IN", help="A video, a GIF or a folder of PNG files.")]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="OUT", help="The result (default IN-recast.mp4 in this folder)."),
]
Overwrite = Annotated[bool, typer.Option("-y", "--overwrite", help="Replace the result if it is already there.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any other setting or knob by its name; may be repeated."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")]


def flagged(*names: str, among: Mapping[str, Flag] = FLAGS) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the flags of these settings; it gets those that the user gave, in its `**options`."""

    def with_flags(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command).parameters.values()
        kept = [parameter for parameter in own if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
        parameters = [*kept, *(_parameter(name, among[name]) for name in names)]
        # typer reads both: the order and defaults here, the types there.
        command.__signature__ = inspect.Signature(parameters)  # pyrefly: ignore[missing-attribute]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return with_flags


def _parameter(name: str, flag: Flag) -> inspect.Parameter:
    kind = list[str] if flag.repeated else str
    option = typer.Option(*flag.names, metavar=flag.metavar, rich_help_panel=flag.panel, help=_help(name, flag))
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help(name: str, flag: Flag) -> str:
    if flag.about:
        return flag.about
    default = FIELDS[name].get_default(call_default_factory=True)
    shown = ", ".join(default) if isinstance(default, tuple) else default
    return str(FIELDS[name].description) + ("" if shown in (None, "", {}) else f" (default {shown})")


def as_png(target: Path) -> Path:
    """The name of a contact sheet. Raises RequestError for one that does not end in .png."""
    if target.suffix.lower() != ".png":
        raise RequestError(f"a sheet is a PNG picture; name it so, such as {target.stem}.png, not {target.name}")
    return target


def request_from(
    source: Path | None,
    target: Path | None,
    options: dict[str, object],
    settings: list[str] | None,
    *,
    overwrite: bool = False,
) -> Request:
    """The request behind a command line; what is not given keeps its default."""
    given = {name: value for name, value in options.items() if value not in (None, [])}
    knobs = dict(parsed(f"{name}={given.pop(name)}") for name in list(given) if name not in FIELDS)
    held = {"source": source, "target": target, "overwrite": overwrite}
    return Request.asked(**held | given | knobs | named(settings))


def named(settings: list[str] | None) -> dict[str, object]:
    """The values of `--set` by name; of two with the same name the last one counts."""
    return dict(parsed(each) for each in settings or ())


def parsed(assignment: str) -> tuple[str, object]:
    """A setting's name and value from KEY=VALUE; the value as JSON where it is, else as text."""
    name, equals, value = assignment.partition("=")
    if not equals or not name.strip():
        raise RequestError(f"{quoted(assignment)} is no setting; write KEY=VALUE, such as seed=7")
    return name.strip().replace("-", "_"), _read_value(value.strip())


def listed(text: str) -> tuple[str, ...]:
    """What stands between commas, without blanks around it and without what is empty."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _read_value(text: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # lists in lists in lists, thousands deep
        return text
    # JSON's NaN and Infinity are Python's invention; as text they are refused with the field's own words.
    return text if isinstance(value, float) and not math.isfinite(value) else value


def usual_target(source: Path) -> Path:
    """Where a result goes when nobody says it: the current folder, under the source's name."""
    return Path(f"{source.stem or source.resolve().name}-recast.mp4")
