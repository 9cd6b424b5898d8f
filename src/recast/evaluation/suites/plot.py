"""Prompt consistency against frame consistency, as Gen-1's Fig. 6 has it: an SVG with error bars."""

from collections.abc import Mapping, Sequence
from html import escape

from recast.evaluation import METRICS
from recast.evaluation.intervals import Figure

WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP = 640, 400, 64, 44, 150, 16
ACROSS, UP = "prompt", "frames"
COLOURS = ("#4269d0", "#d9730d", "#3a9a5b", "#b5478f", "#8a6d3b", "#2f9fb0", "#c23b3b", "#6b5bb8", "#7a8a2c", "#5c6670")
TICKS = 5

Points = Mapping[str, Mapping[str, Figure]]


def scatter(points: Points, lines: Sequence[Sequence[str]] = ()) -> str:
    """The plot; empty where no point has both measures. lines: labels to join, such as those of one swept knob."""
    held = {label: each for label, each in points.items() if ACROSS in each and UP in each}
    if not held:
        return ""
    across, up = (_range([each[name] for each in held.values()]) for name in (ACROSS, UP))
    places = {label: (_x(each[ACROSS].value, across), _y(each[UP].value, up)) for label, each in held.items()}
    parts = [*_axes(across, up)]
    for line in lines:
        route = " ".join(f"{places[label][0]:.1f},{places[label][1]:.1f}" for label in line if label in places)
        parts.append(f'<polyline points="{route}" class="sweep"/>')
    for number, (label, each) in enumerate(held.items()):
        parts.append(_point(label, each, COLOURS[number % len(COLOURS)], (across, up)))
    about = f"{METRICS[UP].heading} against {METRICS[ACROSS].heading}"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{about}">{"".join(parts)}</svg>'


def _point(label: str, each: Mapping[str, Figure], colour: str, ranges: tuple) -> str:
    across, up = each[ACROSS], each[UP]
    x, y = _x(across.value, ranges[0]), _y(up.value, ranges[1])
    bars = [
        (_x(across.low, ranges[0]), y, _x(across.high, ranges[0]), y),
        (x, _y(up.low, ranges[1]), x, _y(up.high, ranges[1])),
    ]
    drawn = "".join(f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}"/>' for a, b, c, d in bars)
    text = f'<text x="{x + 7:.1f}" y="{y - 6:.1f}">{escape(label)}</text>'
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
    return f'<g stroke="{colour}" stroke-width="1.4">{drawn}</g>{dot}{text}'


def _axes(across: tuple[float, float], up: tuple[float, float]) -> list[str]:
    right, below = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {TOP}V{below}H{right}" class="axis"/>']
    for tick in range(TICKS):
        share = tick / (TICKS - 1)
        here, there = (low + share * (high - low) for low, high in (across, up))
        parts.append(f'<text x="{_x(here, across):.1f}" y="{below + 16}" text-anchor="middle">{here:.3f}</text>')
        parts.append(f'<text x="{LEFT - 8}" y="{_y(there, up) + 4:.1f}" text-anchor="end">{there:.3f}</text>')
    middle, turned = (LEFT + right) / 2, f"translate(14 {(TOP + below) / 2}) rotate(-90)"
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{METRICS[ACROSS].heading}</text>')
    parts.append(f'<text transform="{turned}" text-anchor="middle">{METRICS[UP].heading}</text>')
    return parts


def _range(figures: Sequence[Figure]) -> tuple[float, float]:
    low, high = min(each.low for each in figures), max(each.high for each in figures)
    room = 0.06 * (high - low) or 0.01
    return low - room, high + room


def _x(value: float, bounds: tuple[float, float]) -> float:
    return LEFT + (value - bounds[0]) / (bounds[1] - bounds[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, bounds: tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - (value - bounds[0]) / (bounds[1] - bounds[0]) * (HEIGHT - BOTTOM - TOP)
