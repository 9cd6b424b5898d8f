"""`recast methods`: the editing methods, what each needs and costs, and whether a model has what it needs."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Json
from recast.cli.table import table, tell, visible

if TYPE_CHECKING:
    from recast.evaluation.dry_run import MethodCost
    from recast.methods.pages import MethodPage


def methods(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One method: its page.")] = None,
    *,
    model: Annotated[
        str, typer.Option("-m", "--model", metavar="NAME|FOLDER", help="Whether this model has what they need.")
    ] = "pocket",
    frames: Annotated[int, typer.Option("--frames", min=1, max=1024, help="Count evaluations for N frames.")] = 8,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=1000, help="And for N steps (default: the model's own).")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the methods: paper, needs, network evaluations, and whether the model can; or tell all of one.

    Evaluations are the most that an edit takes, those that a pass backward follows in "backward". What is computed
    beside the network is not counted: depth, flow, encoding and decoding, and FRESCO's steps of Adam on features.
    """
    from recast.errors import known
    from recast.methods import METHODS
    from recast.methods.pages import page

    chosen = [known("method", name, METHODS)] if name else list(METHODS)

    from recast.editing.loaded import Model
    from recast.evaluation.dry_run import dry_run

    opened = Model.loaded(model)
    pages = {each: page(each) for each in chosen}
    costs = {each: dry_run(each, opened, frames, steps) for each in chosen}
    if as_json:
        print(json.dumps({each: asdict(pages[each]) | {"cost": asdict(costs[each])} for each in chosen}))
    elif name:
        _tell_page(name, pages[name], f"on {opened.name}, {frames} frames", costs[name])
    else:
        table(
            ("method", "paper", "needs", "steps", "evaluations", "a frame", "backward", f"on {opened.name}"),
            [_row(each, pages[each], costs[each]) for each in chosen],
        )


def _row(name: str, page: "MethodPage", cost: "MethodCost") -> tuple[str, ...]:
    shown = str(cost.evaluations), f"{cost.frame_evaluations:g}", str(cost.gradients or "")
    counts = ("",) * len(shown) if cost.refusal else shown
    return name, page.paper, ", ".join(_needs(page)) or "-", str(cost.steps), *counts, cost.refusal or "yes"


def _needs(page: "MethodPage") -> list[str]:
    return [*page.needs, *(["what the clip shows"] if page.needs_source else [])]


def _tell_page(name: str, page: "MethodPage", where: str, cost: "MethodCost") -> None:
    each = f"{cost.evaluations} evaluations of the network in {cost.steps} steps, {cost.frame_evaluations:g} a frame"
    if cost.gradients:
        each += f"; gradients of {cost.gradients} of them, at most"
    print(visible(f"{name}: {page.paper}"))
    print("\n" + "\n".join(map(visible, page.about.splitlines())) + "\n")
    tell({"needs": _needs(page), "averages": page.ensembles, where: (cost.refusal and f"no: {cost.refusal}") or each})
    tell({knob: f"{held.default}: {held.about}" for knob, held in page.settings.items()}, title="--set KEY=VALUE")
