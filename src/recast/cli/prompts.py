"""`recast prompts CLIPS... -o list.csv`: what clips show, and prompts of edits of them, as suites read it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Overwrite, Quiet, listed
from recast.cli.progress import shown
from recast.cli.table import visible
from recast.errors import RequestError, known


def prompts(  # noqa: PLR0913 -- one parameter for each flag
    clips: Annotated[list[Path], typer.Argument(metavar="CLIPS...", help="Clips, or folders of pictures.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The list to write, as CSV.")],
    captioner: Annotated[
        str | None, typer.Option(metavar="DIR", help="A captioning model's folder, for clips with no caption beside.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Rewrite by this chat-completion endpoint, which gets captions.")
    ] = None,
    endpoint_model: Annotated[str, typer.Option(metavar="NAME", help="And by this model there.")] = "",
    kinds: Annotated[str, typer.Option(metavar="A,B,C", help="Of edits.")] = "style,environment,subject",
    each: Annotated[int, typer.Option(metavar="N", min=1, max=20, help="Prompts of a kind for each clip.")] = 1,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the templates' choices.")] = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="What the captioner computes on.")] = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Describe clips and write prompts of edits of them: by templates offline, or by an endpoint that you name."""
    from recast.engine.device import chosen_device
    from recast.evaluation.endpoint import ChatEndpoint
    from recast.evaluation.prompts.list import PromptSettings, listed_prompts, write_list
    from recast.evaluation.prompts.rewriters import KINDS, EndpointRewriter, TemplateRewriter
    from recast.evaluation.results import check_place

    if output.exists() and not overwrite:
        raise RequestError(f"there is a file already; give another name, or --overwrite: {output}")
    check_place(output)
    if endpoint_model and not endpoint:
        raise RequestError(f"{endpoint_model} is a model at an endpoint; name that too, by --endpoint URL")
    chosen = tuple(KINDS[KINDS.index(known("kind of edit", kind, KINDS))] for kind in listed(kinds) or [""])
    rewriter = EndpointRewriter(ChatEndpoint(endpoint, endpoint_model)) if endpoint else TemplateRewriter(seed)
    settings = PromptSettings(chosen, each, captioner, chosen_device(device).type)
    with shown(quiet=quiet) as watch:
        rows = listed_prompts(clips, rewriter, settings, watch)
    write_list(rows, output)
    if not quiet:
        print(visible(f"{output}: {len(rows)} prompts of {len(clips)} clips"), file=sys.stderr)
