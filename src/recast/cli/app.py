"""The program: its commands, and the one place that turns errors into a message and an exit code."""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.batch import batch
from recast.cli.bench import bench
from recast.cli.compare import compare
from recast.cli.credentials import credentials
from recast.cli.curate import curate
from recast.cli.customize import customize
from recast.cli.doctor import doctor
from recast.cli.edit import edit
from recast.cli.evaluate import evaluate
from recast.cli.generate import generate
from recast.cli.inspect import info, rerun
from recast.cli.interpolate import interpolate
from recast.cli.mask import mask
from recast.cli.methods import methods
from recast.cli.models import models
from recast.cli.partial import partial
from recast.cli.plan import plan
from recast.cli.preview import preview
from recast.cli.prompts import prompts
from recast.cli.propagate import propagate
from recast.cli.queue import queue, worker
from recast.cli.reproduce import reproduce
from recast.cli.serve import serve
from recast.cli.storyboard import storyboard
from recast.cli.structure import structure
from recast.cli.study import study
from recast.cli.substrate import substrate
from recast.cli.table import visible
from recast.cli.train import train
from recast.cli.tune import tune
from recast.cli.world import world
from recast.errors import RecastError, RecastWarning, WriteError
from recast.files import is_full, unwritten

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # click's, which newer versions of typer carry inside
_OF_THE_PATH = frozenset({errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EPERM})
"""What is wrong with a path that the user gave."""
MOST_SHOWN = 2000
"""Characters of a message: what was typed may be of any length."""
_FAILED, _WRONG_USAGE, _INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="recast",
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Re-makes the content of a clip from words or a picture, and keeps its structure.",
)
for command in (
    edit,
    generate,
    storyboard,
    plan,
    preview,
    compare,
    structure,
    mask,
    propagate,
    interpolate,
    world,
    info,
    rerun,
    partial,
    batch,
    bench,
    worker,
    serve,
    curate,
    train,
    tune,
    customize,
    evaluate,
    reproduce,
    prompts,
    doctor,
    methods,
):
    app.command()(command)
app.add_typer(models)
app.add_typer(queue)
app.add_typer(credentials)
app.add_typer(study)
app.add_typer(substrate)


def _tell_version(asked: bool) -> bool:
    if asked:
        from recast import __version__

        typer.echo(f"recast {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code: 0 done, else 2 wrong usage, or as the error's class says."""
    with warnings.catch_warnings():
        _show_own_warnings()
        try:
            return app(list(arguments), standalone_mode=False) or 0
        except _UsageError as error:
            return _refused(error.format_message(), _WRONG_USAGE)  # pyrefly: ignore[missing-attribute]
        except RecastError as error:
            _trace_if_debugging()
            return _refused(str(error), error.exit_code)
        except (KeyboardInterrupt, typer.Abort):
            return _refused("interrupted", _INTERRUPTED)
        except BrokenPipeError:
            return _without_stdout()
        except Exception as error:
            _trace_if_debugging()
            return _failed(error)


def _refused(message: str, code: int) -> int:
    line = visible(" ".join(message.split()))
    half = MOST_SHOWN // 2
    print("error:", line if len(line) <= MOST_SHOWN else f"{line[:half]} ... {line[-half:]}", file=sys.stderr)
    return code


def _failed(error: Exception) -> int:
    if is_full(error):
        return _refused(str(unwritten(Path(getattr(error, "filename", None) or ""), error)), WriteError.exit_code)
    if isinstance(error, OSError) and error.errno in _OF_THE_PATH:
        return _refused(f"{error.strerror}; give another path: {error.filename}", _WRONG_USAGE)
    where = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
    about = f"{type(error).__name__}: {error}"
    return _refused(f"recast failed{where}, and should not: {about}; RECAST_DEBUG=1 shows where", _FAILED)


def _without_stdout() -> int:
    # Who read our output has gone; without this the interpreter would complain once more as it closes.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _FAILED


def _trace_if_debugging() -> None:
    if os.environ.get("RECAST_DEBUG"):
        traceback.print_exc()


def _show_own_warnings() -> None:
    shown: set[str] = set()

    def show(message: Warning | str, *_where: object, **_more: object) -> None:
        text = " ".join(str(message).split())
        if text not in shown:  # a command of many edits would say it of each
            shown.add(text)
            print("warning:", visible(text), file=sys.stderr)

    warnings.showwarning = show
    if not os.environ.get("RECAST_DEBUG"):
        warnings.simplefilter("ignore")  # what libraries warn of is for who writes recast
    warnings.simplefilter("always", RecastWarning)
