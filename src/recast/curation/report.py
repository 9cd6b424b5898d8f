"""The report of a curation: one self-contained HTML page with pictures of what was kept and what was dropped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from recast.curation.filters import FILTERS
from recast.curation.scan import SHORT, SMALL, THUMB, Candidate, Scan
from recast.curation.selection import COPIES, Selection

SHOWN = 18
"""Most thumbnails for each outcome."""
BARS, PLOT_PX = 24, (420, 120)
REASONS = {name: each.about for name, each in FILTERS.items()} | {
    COPIES: "copies of an earlier one",
    SMALL: "too small for their bucket",
    SHORT: "shots shorter than a clip",
}
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #626c78; --line: #d8dee5; --kept: #2f7d5b; --dropped: #c4643a;
  --ground: #fbfcfd; --card: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf0; --soft: #9aa5b1; --line: #343c46; --kept: #5cc096;
  --dropped: #e28a5f; --ground: #14181d; --card: #1b2027; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); margin: 0 auto;
  padding: 2rem 1.5rem 4rem; max-width: 1120px; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.4rem 0 .6rem; } h2 small { color: var(--soft); }
p { margin: .3rem 0; color: var(--soft); }
.numbers { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.4rem 0; }
.numbers div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1.1rem; }
.numbers b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .3rem 1.2rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } td.n { text-align: right;
  font-variant-numeric: tabular-nums; } td.path { overflow-wrap: anywhere; }
.bar { display: inline-block; height: .7rem; background: var(--dropped); border-radius: 2px; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(144px, 1fr)); gap: .7rem; }
figure { margin: 0; } figure img { width: 100%; border-radius: 4px; display: block; }
figcaption { font-size: .75rem; color: var(--soft); overflow-wrap: anywhere; line-height: 1.3; margin-top: .2rem; }
.plots { display: flex; flex-wrap: wrap; gap: 2rem; } .plots figcaption { font-size: .85rem; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); } .kept { fill: var(--kept); }
.dropped { fill: var(--dropped); } .key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; }
"""


def page(
    summary: dict[str, Any], scans: Sequence[Scan], chosen: Selection, thumbs: dict[str, tuple[str, str | None]]
) -> str:
    """The page. thumbs: of kept examples, base64 JPEG and caption, by key; those of dropped clips are in the scans."""
    sections = [
        _numbers(summary),
        _reasons(summary),
        _plots(scans, chosen),
        _buckets(summary),
        _sheets(scans, chosen, thumbs),
        _listed("Could not be read", summary["failed"]),
        _listed("Passed over", summary["passed_over"]),
    ]
    sources = ", ".join(summary["identity"]["sources"])
    head = f"<title>Curation of {escape(sources)}</title><style>{STYLE}</style>"
    top = f"<h1>Curation</h1><p>{escape(sources)} &middot; recast {escape(summary['identity']['recast'])}</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"{head}</head><body>{top}{''.join(sections)}</body></html>\n"
    )


def _numbers(summary: dict[str, Any]) -> str:
    dropped = sum(summary["dropped"].values())
    counts = {
        "sources": sum(summary["found"].values()),
        "not readable": len(summary["failed"]),
        "kept": summary["kept"],
        "dropped": dropped,
        "with a caption": summary["captioned"],
        "shards": len(summary["shards"]),
    }
    return (
        f'<div class="numbers">{"".join(f"<div><b>{count:,}</b>{name}</div>" for name, count in counts.items())}</div>'
    )


def _reasons(summary: dict[str, Any]) -> str:
    if not summary["dropped"]:
        return ""
    most = max(summary["dropped"].values())
    rows = "".join(
        f'<tr><td>{name}</td><td>{REASONS[name]}</td><td class="n">{count:,}</td>'
        f'<td><span class="bar" style="width:{max(2, round(240 * count / most))}px"></span></td></tr>'
        for name, count in summary["dropped"].items()
    )
    return f"<h2>Dropped, by reason</h2><table>{rows}</table>"


def _buckets(summary: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr><td>{each["bucket"]}</td><td>{each["kind"]}</td><td class="n">{each["kept"]:,}</td></tr>'
        for each in summary["buckets"]
    )
    return f"<h2>Kept, by bucket</h2><table>{rows or '<tr><td>nothing</td></tr>'}</table>"


def _plots(scans: Sequence[Scan], chosen: Selection) -> str:
    kept = [each.scores["static"] for each in chosen.kept if "static" in each.scores]
    dropped = [each.scores["static"] for scan in scans for _, each in scan.dropped if "static" in each.scores]
    shots = [length for scan in scans for length in scan.shots]
    sizes = [float(min(each.width, each.height)) for scan in scans for each in _all_of(scan)[:1]]
    plots = [
        histogram("Motion of clips, % of the short side a frame", kept, dropped),
        histogram("Length of shots, seconds", shots),
        histogram("Short side of sources, pixels", sizes),
    ]
    key = '<p><span class="key" style="background:var(--kept)"></span> kept or all &nbsp; '
    key += '<span class="key" style="background:var(--dropped)"></span> dropped</p>'
    return f'<h2>What was found</h2>{key}<div class="plots">{"".join(plots)}</div>' if any(plots) else ""


def histogram(title: str, values: Sequence[float], others: Sequence[float] = ()) -> str:
    """Stacked histogram of two groups as SVG, "" for no values; its last bar holds all above the 99th percentile."""
    every = [*values, *others]
    if not every:
        return ""
    top = float(np.quantile(every, 0.99)) or 1.0
    low, high = (
        np.histogram(np.minimum(values, top), BARS, (0, top)),
        np.histogram(np.minimum(others, top), BARS, (0, top)),
    )
    width, height = PLOT_PX
    most = max((low[0] + high[0]).max(), 1)
    bars = "".join(
        _bar(i * width / BARS, height * (1 - below / most), below / most * height, width, "kept")
        + _bar(i * width / BARS, height * (1 - (below + above) / most), above / most * height, width, "dropped")
        for i, (below, above) in enumerate(zip(low[0], high[0], strict=True))
    )
    places = 0 if top >= 100 else 1
    ticks = "".join(
        f'<text x="{share * width:.0f}" y="{height + 14}" text-anchor="{anchor}">{share * top:.{places}f}{more}</text>'
        for share, anchor, more in ((0, "start", ""), (0.5, "middle", ""), (1, "end", "+"))
    )
    drawn = f'<svg viewBox="0 0 {width} {height + 18}" width="{width}" role="img">{bars}{ticks}</svg>'
    return f"<figure>{drawn}<figcaption>{title} ({len(every):,}; most in a bar: {most:,})</figcaption></figure>"


def _bar(x: float, y: float, height: float, width: int, kind: str) -> str:
    if height <= 0:
        return ""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width / BARS - 2:.1f}" height="{height:.1f}" rx="1"/>'


def _sheets(scans: Sequence[Scan], chosen: Selection, thumbs: dict[str, tuple[str, str | None]]) -> str:
    seen = {key: image for scan in scans for pairs in scan.thumbs.values() for key, image in pairs}
    seen |= {key: image for key, (image, _) in thumbs.items()}
    groups: dict[str, list[tuple[str, str]]] = {"kept": []}
    for each in chosen.kept:
        caption = thumbs.get(each.key, ("", None))[1]
        groups["kept"].append((each.key, f"{_place(each)}: {caption}" if caption else _place(each)))
    for scan in scans:
        for reason, each in scan.dropped:
            groups.setdefault(reason, []).append((each.key, f"{_place(each)}{_score(reason, each)}"))
    for each, of in chosen.copies:
        groups.setdefault(COPIES, []).append((each.key, f"{_place(each)}, as {_place(of)}"))
    return "".join(_sheet(name, listed, seen) for name, listed in groups.items())


def _sheet(name: str, listed: list[tuple[str, str]], seen: dict[str, str]) -> str:
    shown = [(seen[key], caption) for key, caption in listed if key in seen]
    spread = (
        [shown[i] for i in np.unique(np.linspace(0, len(shown) - 1, min(SHOWN, len(shown))).astype(int))]
        if shown
        else []
    )
    cells = "".join(
        f'<figure><img width="{THUMB.width}" height="{THUMB.height}" alt="" src="data:image/jpeg;base64,{image}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for image, caption in spread
    )
    about = "Kept" if name == "kept" else f"Dropped: {REASONS[name]}"
    return f'<h2>{about} <small>{len(listed):,}</small></h2><div class="sheet">{cells}</div>' if cells else ""


def _listed(title: str, rows: Iterable[dict[str, str]]) -> str:
    cells = [f'<tr><td class="path">{escape(row["source"])}</td><td>{escape(row["reason"])}</td></tr>' for row in rows]
    return f"<h2>{title} <small>{len(cells):,}</small></h2><table>{''.join(cells)}</table>" if cells else ""


def _place(each: Candidate) -> str:
    name = each.source.rpartition("/")[2]
    return f"{name} at {each.seconds:.1f} s" if each.frames > 1 else name


def _score(reason: str, each: Candidate) -> str:
    return f": {each.scores[reason]:.3g}" if reason in each.scores else ""


def _all_of(scan: Scan) -> list[Candidate]:
    return [*scan.candidates, *(each for _, each in scan.dropped)]
