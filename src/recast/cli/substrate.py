"""`recast substrate`: a clip as a canonical image or an atlas, to be edited as pictures and rendered back."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Input, Json, Overwrite, Quiet
from recast.cli.progress import shown
from recast.cli.propagate import CacheOption, MaskOption, PassesOption, SizeOption, named_picture, tell_written
from recast.cli.table import tell

substrate = typer.Typer(
    name="substrate", no_args_is_help=True, help="A clip as one picture or two layers: edit these, render back."
)
_LAYER = re.compile(r"(\w+)=(.+)", re.DOTALL)
KindOption = Annotated[str, typer.Option("--by", metavar="canonical|atlas", help="One picture, or two layers.")]


@substrate.command()
def fit(
    source: Input,
    *,
    by: KindOption = "canonical",
    mask: MaskOption = None,
    size: SizeOption = 192,
    passes: PassesOption = 40,
    cache: CacheOption = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit it, keep it beside the clip, and say where its pictures are and how near it comes to the clip."""
    with shown(quiet=quiet) as watch:
        from recast.editing.substrates import FittedClip, SubstrateRequest

        request = SubstrateRequest(source, mask, size, passes, cache)
        FittedClip(request, watch).substrate(by)
    folder = request.folder(by)
    facts = json.loads((folder / "about.json").read_text("utf-8"))
    facts["pictures"] = [str(path) for path in sorted(folder.glob("*.png"))]
    if as_json:
        print(json.dumps(facts))
    else:
        tell(facts)


@substrate.command()
def paint(  # noqa: PLR0913 -- each is a flag
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.png", help="The painted picture.")],
    *,
    prompt: Annotated[str, typer.Option("-p", "--prompt", metavar="TEXT", help="What the clip should show.")],
    source_prompt: Annotated[
        str | None, typer.Option("--source-prompt", metavar="TEXT", help="What it shows now, which steers better.")
    ] = None,
    by: KindOption = "atlas",
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="Which one (default foreground, or canonical).")
    ] = None,
    model: Annotated[
        str, typer.Option("-m", "--model", metavar="NAME|FOLDER", help="Whose CLIP pair judges; a CLIPModel too.")
    ] = "pocket",
    steps: Annotated[int, typer.Option("--steps", min=1, max=100_000, metavar="N")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N")] = 0,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="Where the CLIP pair computes.")] = "cpu",
    mask: MaskOption = None,
    size: SizeOption = 192,
    passes: PassesOption = 40,
    cache: CacheOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Paint a layer until a CLIP pair finds the words in the clip (Text2LIVE); then render it."""
    with shown(quiet=quiet) as watch:
        from recast.editing.paint import PaintRequest, PaintSettings
        from recast.editing.paint import paint as made
        from recast.editing.substrates import SubstrateRequest

        settings = PaintSettings(steps=steps, seed=seed)
        clip = SubstrateRequest(source, mask, size, passes, cache)
        request = PaintRequest(clip, prompt, source_prompt, by, layer, model, device, settings)
        found = made(request, output, watch=watch, overwrite=overwrite)
    if as_json:
        print(json.dumps({"picture": str(output), "before": found.before, "after": found.after, "pair": found.pair}))
    elif not quiet:
        tell({"picture": str(output), "words found": f"{found.after:.3f}, {found.before:.3f} before, by {found.pair}"})


@substrate.command()
def render(  # noqa: PLR0913 -- each is a flag
    source: Input,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="The result.")],
    *,
    edited: Annotated[
        list[str], typer.Option("--edited", metavar="LAYER=PICTURE", help="A layer's picture as you edited it.")
    ],
    by: KindOption = "canonical",
    mask: MaskOption = None,
    size: SizeOption = 192,
    passes: PassesOption = 40,
    cache: CacheOption = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Render the clip with edited pictures: canonical=FILE, or background=FILE and foreground=FILE of an atlas."""
    example = "LAYER=PICTURE, such as canonical=painted.png"
    layers = dict(named_picture(each, _LAYER, "layer", example) for each in edited)
    with shown(quiet=quiet) as watch:
        from recast.editing.substrates import SubstrateRequest
        from recast.editing.substrates import render as rendered

        request = SubstrateRequest(source, mask, size, passes, cache)
        notes = rendered(request, layers, output, by=by, watch=watch, overwrite=overwrite)
    tell_written(output, notes, as_json=as_json, quiet=quiet)
