"""Tables of a report: rows and columns of each, and how a figure is formatted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from recast.evaluation import METRICS
from recast.evaluation.cases.worlds import CHANGES
from recast.evaluation.figures import DECODED, SOURCE, TRUTH, Figures
from recast.evaluation.goals import judged
from recast.evaluation.intervals import Figure
from recast.evaluation.items import Variant

CONTENT = ("environment", "look", "colour", "outline", "joint", "prompt")
STEADINESS = ("frames", "pixels", "warp", "surface", "frames of source", "surface of source", "warp of truth")
APPEARANCE = ("sharpness", "sharpness of truth", "distance", "frames", "evaluations")
RANKED = ("joint", "environment", "look", "colour", "outline", "frames", "warp", "prompt", "evaluations", "seconds")
SWEPT_MEASURES = ("frames", "pixels", "warp", "sharpness", "colour", "outline", "joint")
KEPT = ("environment", "look", "colour", "outline", "joint", "unasked", "distance")
PARTS = ("psnr", "depth", "nearer", "nearest")
HEADINGS = {name: metric.heading for name, metric in METRICS.items()} | {
    "frames of source": "consistency / source's",
    "surface of source": "surface warp / source's",
    "warp of truth": "warp / reference's",
    "sharpness of truth": "sharpness / reference's",
    "seconds": "seconds",
}
CONTENTS = {
    "truth": "reference render",
    "decoded": "reference through the autoencoder",
    "source": "the unedited source",
    "grey": "flat grey",
    "noise": "noise",
    "words": "prompt",
    "picture": "example image",
}
FLOORS = (SOURCE, Variant("grey"), Variant("noise"))
DECIMALS = {name: metric.decimals for name, metric in METRICS.items()} | {"frames of source": 3, "seconds": 1}


@dataclass(frozen=True)
class Grid:
    """One table. rows: their first cells are labels."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(measured: Figures, first: str) -> tuple[Grid, ...]:
    """The tables that have anything in them. first: the method of edits whose variant names none."""
    made = (goals(measured), *ranked(measured, first), content(measured), *swept(measured), appearance(measured))
    beside = (*kept(measured, first), *compared(measured, first), parts(measured))
    return tuple(grid for grid in (*made, *beside) if grid.rows)


def goals(measured: Figures) -> Grid:
    """Each goal, the figure measured for it, and whether it was met."""
    rows = tuple(
        (each.about, each.criterion, each.reached or cell(each.name, each.figure), each.met, cell(each.name, each.most))
        for each in judged(measured)
    )
    return Grid("Goals", ("measure", "goal", "reached", "met", "reference render"), rows)


def content(measured: Figures) -> Grid:
    """Content by t_s, beside floors (grey, noise, the unedited source) and the reference render."""
    shown = [TRUTH, DECODED, *FLOORS, *_by_detail(measured)]
    title = "Content of edits of unseen worlds, as the judge classifies it"
    return _grid(title, ("condition", "t_s"), measured, {trial: _label(trial) for trial in shown}, CONTENT)


def swept(measured: Figures) -> Iterator[Grid]:
    """Content and temporal consistency of edits by prompt, by temporal guidance and steps."""
    first = min((trial.detail or 0 for trial in _by_detail(measured)), default=0)
    words = [
        trial
        for trial in measured.plain
        if (trial.content, trial.case, trial.method, trial.detail) == ("words", "mixed", None, first)
    ]
    words.sort(key=lambda trial: (trial.steps or 0, trial.temporal_guidance or 0))
    labels = {
        trial: (CONTENTS[trial.content], _number(trial.steps), _number(trial.temporal_guidance)) for trial in words
    }
    beside = {trial: (CONTENTS[trial.content], "", "") for trial in (SOURCE, TRUTH, DECODED)}
    headings, title = ("clip", "steps", "temporal guidance"), f"edits by prompt at t_s = {first:g}"
    if len(words) > 1:
        yield _grid(f"Content of {title}, by temporal guidance", headings, measured, labels, CONTENT)
    yield _grid(f"Temporal consistency of {title}", headings, measured, beside | labels, STEADINESS)
    rows = [(*label[1:], *apart) for trial, label in labels.items() if (apart := _less_at_1(measured, trial))]
    if rows:
        heads = ("steps", "temporal guidance", *(HEADINGS[name] for name in SWEPT_MEASURES))
        yield Grid(f"What temporal guidance changes in {title}: less that at 1, world by world", heads, tuple(rows))


def _less_at_1(measured: Figures, trial: Variant) -> tuple[str, ...]:
    """Each measure of a trial less that of the same one without temporal guidance; none for the latter itself."""
    if trial.temporal_guidance == 1:
        return ()
    apart = measured.differences(trial, replace(trial, temporal_guidance=1.0))
    return tuple(cell(name, apart.get(name), signed=True) for name in SWEPT_MEASURES) if apart else ()


def appearance(measured: Figures) -> Grid:
    """Sharpness of edits, and their distance to the reference render."""
    shown = [SOURCE, TRUTH, DECODED, *FLOORS[1:], *_by_detail(measured)]
    title = "Sharpness of edits, and distance to the reference render"
    return _grid(title, ("condition", "t_s"), measured, {trial: _label(trial) for trial in shown}, APPEARANCE)


def ranked(measured: Figures, first: str) -> Iterator[Grid]:
    """Methods that edit the same worlds, one a row, the best joint score above."""
    groups: dict[Variant, list[Variant]] = {}
    for trial, without in pairs(measured):
        groups.setdefault(without, [without]).append(trial)
    for asked, trials in groups.items():
        order = sorted(trials, key=lambda trial: [-_value(measured, trial, name) for name in ("joint", "outline")])
        labels = {trial: (trial.method or first,) for trial in order}
        title = f"Methods by joint score, {asked.case} cases by {CONTENTS[asked.content]}, on the same worlds"
        yield _grid(title, ("method",), measured, labels, RANKED)


def _value(measured: Figures, trial: Variant, name: str) -> float:
    figure = measured.plain[trial].get(name)
    return figure.value if figure else 0.0


def kept(measured: Figures, first: str) -> Iterator[Grid]:
    """Cases that change one attribute only: whether all else stays."""
    for kind, changed in CHANGES.items():
        if kind == "mixed":
            continue
        shown = [Variant(name, case=kind) for name in ("truth", "decoded", "source")]
        shown += [trial for trial in measured.plain if trial.case == kind and trial.content == "words"]
        labels = {trial: (CONTENTS[trial.content], _method(trial, first)) for trial in shown}
        title = f"Edits of the {'subject' if kind == 'colour' else 'scene'}'s {changed[0]} alone"
        yield _grid(title, ("condition", "method"), measured, labels, KEPT)


def _method(trial: Variant, first: str) -> str:
    """What edited: nothing where the clips are references and floors."""
    return (trial.method or first) if trial.content in ("words", "picture") else ""


def compared(measured: Figures, first: str) -> Iterator[Grid]:
    """Each method against the first one, world by world."""
    for trial, without in pairs(measured):
        here, there = measured.plain[trial], measured.plain[without]
        rows = [
            (HEADINGS[name], cell(name, there[name]), cell(name, here[name]), cell(name, apart, signed=True))
            for name, apart in measured.differences(trial, without).items()
        ]
        if trial in measured.seconds and without in measured.seconds:
            before, after = (cell("seconds", measured.seconds[each]) for each in (without, trial))
            rows.append(("seconds", before, after, ""))
        title = f"{trial.method} against {first}, {trial.case} cases, on the same worlds"
        yield Grid(title, ("measure", first, str(trial.method), "difference"), tuple(rows))


def pairs(measured: Figures) -> list[tuple[Variant, Variant]]:
    """Each trial by another method, with the same by the first one."""
    others = [trial for trial in measured.plain if trial.method is not None]
    named = [(trial, Variant(trial.content, trial.detail, trial.temporal_guidance, trial.case)) for trial in others]
    return [pair for pair in named if pair[1] in measured.plain]


def parts(measured: Figures) -> Grid:
    """The autoencoder and the depth estimator by themselves."""
    seen = [measured.plain.get(Variant(where), {}) for where in ("worlds", "footage")]
    rows = tuple(
        (HEADINGS[name], *(cell(name, figures.get(name)) for figures in seen))
        for name in PARTS
        if any(name in figures for figures in seen)
    )
    return Grid("Components: autoencoder and depth", ("measure", "worlds", "real clips"), rows)


def cell(name: str, figure: Figure | None, *, signed: bool = False) -> str:
    """A figure with its interval and how many values are behind it; empty for none."""
    if figure is None:
        return ""
    kind = "%" if name in METRICS and METRICS[name].unit == "%" else "f"
    form = f"{{:{'+' if signed else ''}.{DECIMALS.get(name, 2)}{kind}}}"
    value, low, high = (form.format(each).replace("%", " %") for each in (figure.value, figure.low, figure.high))
    alone = figure.count == 1 and figure.low == figure.high  # an interval of one value would look like certainty
    return f"{value} (n 1)" if alone else f"{value} ({low} to {high}, n {figure.count})"


def _by_detail(measured: Figures) -> list[Variant]:
    asked = [
        trial
        for trial in measured.plain
        if trial.content in ("words", "picture")
        and (trial.case, trial.method, trial.is_swept) == ("mixed", None, False)
    ]
    return sorted(asked, key=lambda trial: (trial.content != "words", trial.detail))


def _grid(
    title: str,
    headings: Sequence[str],
    measured: Figures,
    labels: Mapping[Variant, tuple[str, ...]],
    names: Iterable[str],
) -> Grid:
    listed = tuple(names)
    rows = []
    for trial, label in labels.items():
        figures = measured.plain.get(trial, {}) | measured.relative.get(trial, {})
        figures |= {"seconds": measured.seconds[trial]} if trial in measured.seconds else {}
        if figures:
            rows.append((*label, *(cell(name, figures.get(name)) for name in listed)))
    return Grid(title, (*headings, *(HEADINGS[name] for name in listed)), tuple(rows))


def _label(trial: Variant) -> tuple[str, str]:
    return CONTENTS[trial.content], _number(trial.detail)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
