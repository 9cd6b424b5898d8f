"""`recast study`: which of two edits raters like better; built, shown on a page, scored, or taken to a crowd."""

import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast.cli.flags import Json, Quiet
from recast.cli.progress import shown
from recast.cli.table import table, visible
from recast.errors import RequestError, extra

if TYPE_CHECKING:
    from recast.evaluation.intervals import Figure
    from recast.evaluation.study.plan import StudyEdit
    from recast.evaluation.study.scores import StudyScores

PORT = 7861
study = typer.Typer(name="study", no_args_is_help=True, help="Ask raters which of two edits is better.")
Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]


Output = Annotated[Path, typer.Option("-o", "--output", metavar="STUDY", help="The folder to make.")]
Suite = Annotated[Path | None, typer.Option(metavar="FILE", help="A suite that `recast evaluate --suite` has run.")]
Results = Annotated[Path | None, typer.Option(metavar="DIR", help="And the folder that it was run to.")]
Ways = Annotated[
    list[str] | None,
    typer.Option("--way", metavar="NAME=DIR", help="Or edits by any tool; twice or more, one a folder."),
]
Sources = Annotated[Path | None, typer.Option("--source", metavar="DIR", help="The clips that those were made of.")]
Prompts = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Their list as CSV: clip, edit_prompt, and edit if named otherwise.")
]
Against = Annotated[str, typer.Option(metavar="NAME", help="One way against each other one, not all against all.")]
Most = Annotated[int | None, typer.Option(metavar="N", min=1, help="So many pairs, drawn at random.")]
Raters = Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How many judge each pair.")]
PerRater = Annotated[int | None, typer.Option(metavar="N", min=1, help="Pairs that one rater sees (default: all).")]
Question = Annotated[str | None, typer.Option(metavar="TEXT", help="What is asked of each pair.")]


@study.command("build")
def build(  # noqa: PLR0913 -- one parameter for each flag
    output: Output,
    *,
    suite: Suite = None,
    results: Results = None,
    ways: Ways = None,
    source: Sources = None,
    prompts: Prompts = None,
    against: Against = "",
    most: Most = None,
    raters: Raters = 5,
    per_rater: PerRater = None,
    question: Question = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of pairs, orders and sides.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Make a study of a suite's edits, or of any tools': pairs in random order and side, with attention checks."""
    from recast.evaluation.study.build import built
    from recast.evaluation.study.plan import QUESTION, StudyConfig

    if question is not None and not question.strip():
        raise RequestError("--question asks nothing; leave it out for the paper's")
    config = StudyConfig(question or QUESTION, raters, per_rater, against, most, seed)
    edits = _edits(suite, results, ways or [], source, prompts)
    with shown(quiet=quiet) as watch:
        plan = built(edits, config, output, watch)
    checks = sum(each.check for each in plan.pairs)
    pairs = len(plan.pairs) - checks
    print(visible(f"{output}: {pairs} pairs and {checks} attention checks, {len(plan.seats)} raters"))


@study.command("serve")
def serve(
    folder: Folder,
    *,
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535)] = PORT,
) -> None:
    """Show the study's page to raters at this machine. Killed and started again it goes on where it was."""
    with extra("app"):
        import fastapi  # noqa: F401 -- to say which extra is missing, before anything starts
        import uvicorn  # noqa: F401
    from recast.app.config import ServeConfig
    from recast.app.study import serve_study
    from recast.evaluation.study.plan import StudyPlan
    from recast.files import run_lock

    StudyPlan.opened(folder)
    with run_lock(folder):
        _check_port(port)
        typer.echo(f"http://127.0.0.1:{port}/", err=True)
        serve_study(folder, ServeConfig(folder, port=port))


@study.command("export")
def export(
    folder: Folder,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The CSV file to write.")],
    *,
    base_url: Annotated[str, typer.Option(metavar="URL", help="Where STUDY/clips will be found.")],
) -> None:
    """Write a row for each rating as CSV, for a crowd platform; `score --answers` reads what comes back."""
    from recast.evaluation.results import check_place
    from recast.evaluation.study.answers import write_crowd
    from recast.evaluation.study.plan import StudyPlan

    if not base_url.startswith(("https://", "http://")):
        raise RequestError(f"--base-url is https://HOST/PATH, where raters' browsers find clips, and not {base_url!r}")
    check_place(output)
    count = write_crowd(StudyPlan.opened(folder), output, base_url)
    print(visible(f"{output}: {count} rows; put {folder / 'clips'} where {base_url.rstrip('/')}/clips shows them"))


@study.command("score")
def score(
    folder: Folder,
    *,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answers from a crowd platform: rater, item, answer as CSV.")
    ] = None,
    most_failed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Leave out raters who failed more attention checks.")
    ] = 0,
    as_json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print tables as Markdown.")] = False,
) -> None:
    """Win rates with 95 % intervals, and strengths by Bradley and Terry; raters who failed checks are left out."""
    from recast.evaluation.study.answers import read_answers, read_crowd
    from recast.evaluation.study.plan import StudyPlan
    from recast.evaluation.study.scores import scored

    plan = StudyPlan.opened(folder)
    found = scored(plan, read_crowd(plan, answers) if answers else read_answers(folder), most_failed)
    if as_json:
        print(json.dumps(found.to_json()))
        return
    for rater in found.raters:
        if rater.left_out:
            print(visible(f"left out: {rater.name}, who {rater.left_out}"), file=sys.stderr)
    _tell(found, plan.raters, markdown=markdown)


def _edits(
    suite: Path | None, results: Path | None, ways: list[str], source: Path | None, prompts: Path | None
) -> "list[StudyEdit]":
    from recast.evaluation.study.build import edits_of_folders, edits_of_suite

    if suite and results and not (ways or source or prompts):
        return edits_of_suite(suite, results)
    if ways and source and prompts and not (suite or results):
        named = [_way(each) for each in ways]
        twice = next((name for name, _ in named if [each for each, _ in named].count(name) > 1), None)
        if twice is not None:
            raise RequestError(f"--way names {twice} twice; give each folder a name of its own")
        return edits_of_folders(prompts, source, dict(named))
    raise RequestError(
        "give a suite with its results, by --suite FILE --results DIR, or edits by --way NAME=DIR (twice or more) with "
        "--source DIR and --prompts FILE"
    )


def _check_port(port: int) -> None:
    """Raises RequestError where something answers there already."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as fault:
            raise RequestError(f"port {port} cannot be had ({fault.strerror}); name another by --port") from fault


def _way(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and Path(folder).is_dir()):
        raise RequestError(f"--way is NAME=DIR, with a folder that is there, and not {text!r}")
    return name, Path(folder)


def _tell(found: "StudyScores", raters: int, *, markdown: bool) -> None:
    counted = [each for each in found.raters if not each.left_out]
    agreed = "" if found.agreement is None else f"; two raters of a pair agree in {found.agreement:.0%}"
    thin = f"; {found.thin} have fewer than {raters} votes" if found.thin else ""
    votes = sum(each.answers - each.checks for each in counted)
    print(f"{len(counted)} of {len(found.raters)} raters count, {votes} votes on {found.pairs} pairs{thin}{agreed}")
    if not found.duels:
        return
    head = ("way", "against", "won", "tied", "lost", "win rate (95 %)", "votes for it (95 %)")
    duels: list[tuple[str, ...]] = [
        (each.way, each.other, str(each.won), str(each.tied), str(each.lost), _share(each.rate), _share(each.preferred))
        for each in found.duels
    ]
    _print(head, duels, markdown=markdown)
    if found.strengths:
        print()
        rows: list[tuple[str, ...]] = [
            (way, f"{each.value:+.2f} ({each.low:+.2f} to {each.high:+.2f})") for way, each in found.strengths.items()
        ]
        _print(("way", "log strength, Bradley-Terry (95 %)"), rows, markdown=markdown)
    else:
        print("no strengths: some ways to edit were never compared, not even by way of others")


def _print(head: tuple[str, ...], rows: list[tuple[str, ...]], *, markdown: bool) -> None:
    if not markdown:
        table(head, rows)
        return
    for row in (head, ("---",) * len(head), *rows):
        print(visible("| " + " | ".join(row) + " |"))


def _share(figure: "Figure") -> str:
    return f"{figure.value:.0%} ({figure.low:.0%} to {figure.high:.0%}, {figure.count} clips)"
