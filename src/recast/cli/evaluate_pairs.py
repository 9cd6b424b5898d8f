"""`recast evaluate --source A --edited B`: results of any tool, one or a folder of them, as a table or JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.cli.flags import Flag
from recast.cli.progress import Watch, shown
from recast.cli.table import table, visible
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.evaluation.intervals import Figure
    from recast.evaluation.pairs import PairScores
    from recast.evaluation.sets import SetScores

_PANEL = "An edit in a file"
PAIR_FLAGS: dict[str, Flag] = {
    "source": Flag(("--source",), "CLIP|DIR", _PANEL, about="What was edited: a clip, or a folder of them."),
    "edited": Flag(("--edited",), "CLIP|DIR", _PANEL, about="What any tool made of it; of a folder, by file name."),
    "words": Flag(("-p", "--prompt"), "TEXT", _PANEL, repeated=True, about="What the edit was asked to show."),
    "source_prompt": Flag(("--source-prompt",), "TEXT", _PANEL, repeated=True, about="What the source shows."),
    "mask": Flag(("--mask",), "FILE|DIR", _PANEL, about="White where the edit was to be; elsewhere all was to stay."),
    "edit": Flag(("--edit",), "inside|outside", _PANEL, about="Which side of the mask was edited (default inside)."),
    "encoder": Flag(
        ("--encoder",),
        "NAME|DIR",
        _PANEL,
        about="Measure by this model's CLIP pair, or a folder's CLIPModel or DINOv2.",
    ),
    "ask": Flag(("--ask",), "URL", _PANEL, about="Show frames to this chat-completion endpoint and ask: yes or no?"),
    "ask_model": Flag(("--ask-model",), "NAME", _PANEL, about="And to this vision-language model there."),
    "preference": Flag(("--preference",), "DIR", _PANEL, about="And PickScore by the folder of its CLIPModel."),
    "lpips": Flag(
        ("--lpips",), "DIR", _PANEL, about="And LPIPS of what the mask leaves, by the folder of its weights."
    ),
    "sets": Flag(
        ("--sets",),
        "DIR",
        _PANEL,
        about="Of folders: distances of both sets by this Inception, CLIPModel, DINOv2 or VideoMAE.",
    ),
    "max_frames": Flag(("--max-frames",), "N", _PANEL, about="Compare the first N frames."),
    "on_damage": Flag(("--on-damage",), "fail|warn|repeat", _PANEL, about="What to do about a damaged clip."),
}
"""The flags of a measurement of files, by name; values are text."""
PLAIN = ("edit", "encoder", "ask", "ask_model", "preference", "lpips", "on_damage")
"""Flags that a measurement has under the same names."""
HEAD = ("measure", "edit", "source", "better", "by")


def asked_pairs(options: Mapping[str, object], *, others: bool) -> dict[str, Any]:
    """The flags of PAIR_FLAGS that were given; none where worlds or footage are measured (`others`).

    Raises RequestError where both are asked for, and for one clip without the other.
    """
    given = {name: value for name, value in options.items() if value not in (None, [])}
    if not given:
        return {}
    if others:
        raise RequestError("--source and --edited measure files; ask for --worlds or --footage by another command")
    missing = [name for name in ("source", "edited") if name not in given]
    if missing:
        raise RequestError(f"an edit is measured beside its source; give --{missing[0]} too")
    return given


def by_pairs(options: dict[str, Any], device: str, *, as_json: bool, markdown: bool, quiet: bool) -> None:
    """Measures the files that the flags name, and prints it."""
    from recast.evaluation.pairs import evaluate, file_pairs, holds_clips

    source, edited = Path(options["source"]), Path(options["edited"])
    mask = Path(options["mask"]) if "mask" in options else None
    settings = _settings(options) | {"device": device}
    is_folder = holds_clips(edited)
    if "sets" in options and not is_folder:
        raise RequestError(f"--sets compares folders of clips, and this is one: {edited}")
    files = file_pairs(source, edited, mask) if is_folder else [(source, edited, mask)]
    with shown(quiet=quiet) as watch:
        sets = _sets(files, options["sets"], settings, watch) if "sets" in options else None
        found = []
        for done, (before, after, where) in enumerate(files):
            watch("clips", done, len(files))
            own = settings | ({"lpips": None} if mask is not None and where is None else {})
            found.append(evaluate(before, after, mask=where, watch=watch, **own))
    if as_json:
        held = _json(found) if is_folder else found[0].to_json()
        print(json.dumps(held | ({"sets": sets.to_json()} if sets else {})))
        return
    rows = (_mean_rows(found) if is_folder else _rows(found[0])) + (_set_rows(sets) if sets else [])
    _print_markdown(rows) if markdown else table(HEAD, rows)
    for note in dict.fromkeys(_facts(found)):
        print(visible(note))


def _sets(
    files: "list[tuple[Path, Path, Path | None]]", network: str, settings: Mapping[str, Any], watch: "Watch"
) -> "SetScores":
    from recast.evaluation.sets import set_scores

    sources = list(dict.fromkeys(source for source, _, _ in files))
    read = {name: settings[name] for name in ("max_frames", "on_damage") if name in settings}
    return set_scores(sources, [edited for _, edited, _ in files], network, settings["device"], watch, **read)


def _set_rows(sets: "SetScores") -> list[tuple[str, ...]]:
    from recast.evaluation import METRICS

    count = f"n {sets.vectors[0]} and {sets.vectors[1]}"
    return [
        (METRICS[name].heading, f"{METRICS[name].text(value)} ({count})", "", METRICS[name].better, sets.by)
        for name, value in sets.figures.items()
    ]


def _settings(options: Mapping[str, Any]) -> dict[str, object]:
    settings = {name: options[name] for name in PLAIN if name in options}
    for flag, name in (("words", "prompt"), ("source_prompt", "source_prompt")):
        if flag in options:
            settings[name] = ", ".join(options[flag])
    if "max_frames" in options:
        text = options["max_frames"]
        if not text.isdecimal():
            raise RequestError(f"--max-frames is {text!r}; it should be a number of frames")
        settings["max_frames"] = int(text)
    return settings


def _rows(scores: "PairScores") -> list[tuple[str, ...]]:
    from recast.evaluation import METRICS

    figures = scores.figures
    return [
        (
            METRICS[name].heading,
            METRICS[name].text(value),
            METRICS[name].text(figures.source[name]) if name in figures.source else "",
            METRICS[name].better,
            figures.by.get(name, ""),
        )
        for name, value in figures.edit.items()
    ]


def _mean_rows(found: list["PairScores"]) -> list[tuple[str, ...]]:
    from recast.evaluation import METRICS
    from recast.evaluation.tables import cell

    edits, sources = _means(found)
    by = {name: who for scores in found for name, who in scores.figures.by.items()}
    return [
        (
            METRICS[name].heading,
            cell(name, figure),
            cell(name, sources.get(name)),
            METRICS[name].better,
            by.get(name, ""),
        )
        for name, figure in edits.items()
    ]


def _means(found: list["PairScores"]) -> tuple[dict[str, "Figure"], dict[str, "Figure"]]:
    """The means over all clips that a measure was taken of, of edits and of sources, with their intervals."""
    from recast.evaluation.figures import mean_figures

    return mean_figures([each.figures.edit for each in found]), mean_figures([each.figures.source for each in found])


def _json(found: list["PairScores"]) -> dict[str, object]:
    from dataclasses import asdict

    edits, sources = _means(found)
    mean = {
        name: {"edit": asdict(edits[name]), "source": asdict(sources[name]) if name in sources else None}
        for name in edits
    }
    return {"clips": len(found), "mean": mean, "edits": [scores.to_json() for scores in found]}


def _facts(found: list["PairScores"]) -> list[str]:
    sizes = dict.fromkeys(f"{scores.size[1]}x{scores.size[0]}" for scores in found)
    frames = sum(scores.frames for scores in found)
    head = f"{len(found)} clip{'s' * (len(found) > 1)}, {frames} frames at {', '.join(sizes)}"
    return [head, *(note for scores in found for note in scores.notes)]


def _print_markdown(rows: list[tuple[str, ...]]) -> None:
    for row in (HEAD, ("---",) * len(HEAD), *rows):
        print(visible("| " + " | ".join(row) + " |"))
