"""`recast train`: trains a preset, or estimates its cost."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.costs import tell_cost, tell_estimate, tell_presets
from recast.cli.flags import Json, Quiet
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.training.preset import Preset
    from recast.training.run import TrainingRun


Data = Annotated[list[Path] | None, typer.Option(metavar="DIR", help="Shards, caches or pools; may be repeated.")]
Start = Annotated[str | None, typer.Option("--from", metavar="FOLDER", help="The model to start from.")]
Run = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="RUN", help="Folder of checkpoints and of RUN/model.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the preset; may be repeated."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Estimate steps, memory, FLOPs and hours; train nothing.")]


def train(  # noqa: PLR0913 -- one parameter for each flag
    preset: Annotated[
        str | None, typer.Argument(metavar="[PRESET]", help="The preset to train; without one, presets are listed.")
    ] = None,
    *,
    data: Data = None,
    start: Start = None,
    run: Run = None,
    settings: Settings = None,
    dry_run: DryRun = False,
    listed: Annotated[bool, typer.Option("--list", help="List the presets.")] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="What to compute on.")] = "auto",
    engine: Annotated[
        str, typer.Option(metavar="ddp|fsdp", help="How processes share the network: replicated or sharded.")
    ] = "ddp",
    nproc: Annotated[int, typer.Option(metavar="N", min=1, help="Processes on this machine, one a GPU.")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a preset: the paper's stages, a component, or the model that ships. The same command resumes."""
    if preset is None or listed:
        tell_presets(as_json=as_json)
        return
    chosen = _chosen(preset, settings or ())
    if chosen is None:
        unread = {"--set": settings, "--data": data, "--from": start}
        _check_recipe(preset, unread, device=device, engine=engine, nproc=nproc)
    if dry_run:
        tell_cost(preset, chosen, as_json=as_json, device=device, processes=nproc)
    elif run is None:
        raise RequestError("nothing says where checkpoints and the model should go; say -o RUN")
    elif nproc > 1 and "RANK" not in os.environ:
        _launch(nproc)
    elif chosen is None:
        _do(preset, run, quiet=quiet)
    else:
        from recast.recipes import open_run

        made = open_run(preset, chosen, run, data=data or (), start=start)
        _follow(preset, made, run, device=device, engine=engine, quiet=quiet)


def _chosen(name: str, settings: Sequence[str]) -> "Preset | None":
    """The preset with other numbers; None for what recipes of models have: steps without a network, and all of them."""
    from recast.recipes import CHORES, MODEL_RECIPES, PRESETS
    from recast.training.settings import changed

    if name in PRESETS:
        return changed(PRESETS[name], settings)
    if name in CHORES or name in MODEL_RECIPES:
        return None
    raise RequestError(f"no preset is called {name!r}; known: {', '.join([*PRESETS, *CHORES, *MODEL_RECIPES])}")


def _check_recipe(name: str, given: Mapping[str, object], *, device: str, engine: str, nproc: int) -> None:
    """Refuses what a recipe of a model, or one of its steps without a network, would leave unread."""
    unread = [flag for flag, value in given.items() if value]
    if unread:
        raise RequestError(f"{name} takes no {unread[0]}: its steps say all; name one of its trainings to change it")
    if device not in {"auto", "cpu"} or engine != "ddp" or nproc > 1:
        raise RequestError(f"{name} runs in one process on the processor; leave --device, --engine and --nproc out")


def _follow(name: str, training_run: "TrainingRun", run: Path, *, device: str, engine: str, quiet: bool) -> None:
    from recast.engine import monitor
    from recast.engine.device import chosen_device
    from recast.engine.distributed import joined
    from recast.engine.loop import with_precision
    from recast.training.run import publish, train

    with ExitStack() as stack:
        place = stack.enter_context(joined(engine, chosen_device(device).type))
        recipe = with_precision(training_run.preset.config, training_run.folder, engine=place)
        training_run = replace(training_run, preset=replace(training_run.preset, config=recipe))
        assert training_run.loss  # before anything is written: it refuses inputs that do not suffice
        training_run = replace(training_run, network=training_run.initial_network())  # to be counted and to be trained
        watches = []
        if place.first:
            flops = training_run.flops(place.world)
            board = monitor.tensorboard_monitor(
                training_run.folder, device=place.device, precision=recipe.precision, flops=flops
            )
            watches.append(stack.enter_context(board))
            if not quiet:
                tell_estimate(
                    name, training_run.preset, flops * recipe.steps, device=place.device, processes=place.world
                )
                watches.append(stack.enter_context(monitor.progress_monitor(name, recipe.steps)))
        network = train(training_run, engine=place, monitor=monitor.combined(*watches))
        if place.first:
            print(publish(training_run, network, run))


def _do(name: str, run: Path, *, quiet: bool) -> None:
    from recast.recipes import CHORES, MODEL_RECIPES, recipe_of
    from recast.training.cost import run_flops
    from recast.training.run import RESULT

    for each in MODEL_RECIPES[name].order if name in MODEL_RECIPES else (name,):
        print(each, file=sys.stderr)
        if each in CHORES:
            CHORES[each](run)
            continue
        recipe = recipe_of(each)
        if not (quiet or (recipe.folder(each, run) / RESULT).exists()):
            tell_estimate(each, recipe.presets[each], run_flops(recipe.presets[each]))
        recipe.network(each, run)


def _launch(processes: int) -> None:
    """This very command, once more, on so many processes."""
    from recast.engine.launch import launch

    launch(["-m", "recast", *sys.argv[1:]], processes)
