"""The page of a suite: tables, the paper's plot, and players side by side. It asks nothing of any other machine."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from recast.evaluation import METRICS
from recast.evaluation.goals import LEAST
from recast.evaluation.intervals import Figure
from recast.evaluation.suites.plot import scatter
from recast.evaluation.suites.suite_file import SuiteItem
from recast.evaluation.suites.tables import Rows, means, measures, source_means

PAGE = "report.html"
SHOWN = ("frames", "prompt", "warp")
"""Measures below each player."""
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #626c78; --line: #d8dee5; --ground: #fbfcfd; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf0; --soft: #9aa5b1; --line: #343c46; --ground: #14181d;
  --card: #1b2027; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); margin: 0 auto;
  padding: 2rem 1.5rem 4rem; max-width: 1280px; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; font-weight: 500; } p, dt, figcaption { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { text-align: right; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  font-variant-numeric: tabular-nums; } th { vertical-align: bottom; font-weight: 600; line-height: 1.3; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; position: sticky; left: 0;
  background: var(--ground); }
small { color: var(--soft); white-space: nowrap; display: block; font-weight: 400; }
svg { max-width: 760px; width: 100%; } svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.axis { stroke: var(--line); fill: none; } .sweep { stroke: var(--soft); fill: none; stroke-dasharray: 3 3; }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: .8rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
video { width: 100%; display: block; background: #000; } figcaption { font-size: .8rem; padding: .4rem .6rem; }
figcaption b { color: var(--ink); display: block; } button { font: inherit; font-size: .8rem; margin-left: .8rem; }
"""
SCRIPT = """
for (const button of document.querySelectorAll("button")) button.onclick = () => {
  const players = button.closest("section").querySelectorAll("video");
  const stop = [...players].some(each => !each.paused);
  for (const each of players) { if (stop) each.pause(); else { each.currentTime = 0; each.play(); } }
};
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; media-src 'self' file:"


def page(title: str, head: Mapping[str, str], rows: Rows) -> str:
    """The page. head: what holds for all numbers. Players are in the folders `sources` and `edits` beside it."""
    measured = means(rows)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in head.items())
    plot = scatter(measured, sweeps(rows))
    parts = [
        f"<h1>{escape(title)}</h1><dl>{facts}</dl>",
        f"<h2>Means</h2><p>Below each: the number n of clips, and from {LEAST} on the 95 % interval, by bootstrap over "
        "clips and the edits of each.</p>",
        _means(measured, source_means(rows), measures(rows)),
        f"<h2>Frame consistency against prompt consistency</h2>{plot}" if plot else "",
        *_clips(rows),
    ]
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    top = f'<meta charset="utf-8">{policy}<title>{escape(title)}</title><style>{STYLE}</style>'
    body = f"{''.join(parts)}<script>{SCRIPT}</script>"
    return f'<!doctype html><html lang="en"><head>{top}</head><body>{body}</body></html>'


def sweeps(rows: Rows) -> list[list[str]]:
    """Labels of ways to edit that differ in one number alone, in the order of that number."""
    arms = {item.arm.label: (item.arm.model, dict(item.arm.options)) for item in rows}
    lines: dict[tuple, list[tuple[float, str]]] = {}
    for label, (model, options) in arms.items():
        for name, value in options.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                others = tuple(sorted((key, str(each)) for key, each in options.items() if key != name))
                lines.setdefault((model, name, others), []).append((float(value), label))
    return [[label for _, label in sorted(line)] for line in lines.values() if len(line) > 1]


def _means(measured: Mapping[str, Mapping[str, Figure]], source: Mapping[str, Figure], names: Sequence[str]) -> str:
    head = "".join(
        f"<th>{escape(each.heading).replace('-', '&#8209;')}<small>{each.better} is better</small></th>"
        for each in (METRICS[name] for name in names)
    )
    lines = [("the unedited source", source), *measured.items()]
    body = "".join(
        f"<tr><td>{escape(label)}</td>{''.join(_cell(name, figures.get(name)) for name in names)}</tr>"
        for label, figures in lines
    )
    return f'<div class="wide"><table><tr><th></th>{head}</tr>{body}</table></div>'


def _cell(name: str, figure: Figure | None) -> str:
    if figure is None:
        return "<td></td>"
    value, low, high = (METRICS[name].text(each) for each in (figure.value, figure.low, figure.high))
    interval = f"{low} to {high}, " if figure.count >= LEAST else ""
    return f"<td>{value}<small>{interval}n {figure.count}</small></td>"


def _clips(rows: Rows) -> Iterator[str]:
    grouped: dict[str, dict[str, list[tuple[SuiteItem, Mapping[str, Any]]]]] = {}
    for item, row in rows.items():
        grouped.setdefault(item.edit.name, {}).setdefault(item.edit.words, []).append((item, row))
    for clip, prompts in grouped.items():
        yield f"<h2>{escape(clip)}</h2>"
        for words, made in prompts.items():
            first, source = made[0][0], next((row["source"] for _, row in made if "source" in row), {})
            kind = f"{escape(first.edit.kind)}: " if first.edit.kind else ""
            about = escape(first.edit.source_words or "")
            players = [_player(f"sources/{clip}.mp4", "source", about, source)]
            players += [_edited(item, row) for item, row in made]
            heading = f"<h3>{kind}{escape(words)}<button>play all</button></h3>"
            yield f'<section>{heading}<div class="row">{"".join(players)}</div></section>'


def _edited(item: SuiteItem, row: Mapping[str, Any]) -> str:
    label = f"{item.arm.label}, seed {item.seed}"
    if "refusal" in row:
        return f"<figure><figcaption><b>{escape(label)}</b>{escape(row['refusal'])}</figcaption></figure>"
    return _player(f"edits/{item.name}.mp4", label, "", row["figures"])


def _player(path: str, label: str, about: str, figures: Mapping[str, float]) -> str:
    scores = "; ".join(
        f"{METRICS[name].heading}: {METRICS[name].text(figures[name])}" for name in SHOWN if name in figures
    )
    video = f'<video src="{escape(path)}" controls loop muted playsinline preload="metadata"></video>'
    text = f"<b>{escape(label)}</b>{' '.join(filter(None, [about, scores]))}"
    return f"<figure>{video}<figcaption>{text}</figcaption></figure>"
