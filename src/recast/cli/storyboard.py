"""`recast storyboard -p WORDS -o board.toml`: scenes, prompts and boxes over time, planned by a language model."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Overwrite, Quiet
from recast.cli.table import visible


def storyboard(  # noqa: PLR0913 -- one parameter for each flag
    *,
    prompt: Annotated[str, typer.Option("-p", "--prompt", metavar="TEXT", help="What the whole video is to show.")],
    endpoint: Annotated[str, typer.Option(metavar="URL", help="The chat-completion endpoint, which gets the prompt.")],
    endpoint_model: Annotated[str, typer.Option(metavar="NAME", help="The language model there.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The storyboard to write, as TOML.")],
    scenes: Annotated[int, typer.Option(metavar="N", min=1, max=50, help="Scenes; 1 is the prompt itself.")] = 3,
    moments: Annotated[
        int, typer.Option(metavar="N", min=1, max=60, help="Prompts over the time of each scene; 1 for one prompt.")
    ] = 1,
    boxes: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=60, help="Boxes over the time of each scene; 0 for none."),
    ] = 0,
    seconds: Annotated[float, typer.Option(metavar="S", min=0.1, max=60, help="Of a single scene.")] = 2.0,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where answers are kept (default: in the user's cache).")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Ask though an answer is kept.")] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Plan a storyboard from a prompt by a language model; `recast generate --storyboard` makes it, as edited."""
    from recast.editing.values import check_words
    from recast.evaluation.endpoint import ChatEndpoint
    from recast.evaluation.prompts.kept_answers import KeptAnswers
    from recast.evaluation.prompts.plan_files import PlanSettings, check_plan, planned, write_plan
    from recast.evaluation.prompts.planners import LanguagePlanner

    words = " ".join(prompt.split())
    check_words("the prompt (-p, --prompt)", prompt, "the video should show")
    settings = PlanSettings(scenes=scenes, moments=moments, boxes=boxes, seconds=seconds)
    check_plan(output, settings, overwrite=overwrite)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = KeptAnswers(ChatEndpoint(endpoint, endpoint_model), cache or home / "recast" / "plans", anew)
    texts = planned(words, LanguagePlanner(kept), settings, output.name)
    write_plan(texts, output.parent, overwrite=overwrite)
    if not quiet:
        beside = f", {len(texts) - 1} of boxes beside it" if len(texts) > 1 else ""
        print(visible(f"{output}: {scenes} scenes{beside}; recast generate --storyboard {output}"), file=sys.stderr)
