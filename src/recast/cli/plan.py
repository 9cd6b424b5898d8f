"""`recast plan`: what an edit would take, before it is made."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from recast.cli.flags import FLAGS, Input, Json, Output, Settings, flagged, request_from, usual_target
from recast.cli.progress import peak_gib
from recast.cli.table import tell

if TYPE_CHECKING:
    from recast.editing.request import Request
    from recast.evaluation.generation_plan import GenerationPlan
    from recast.evaluation.plan import Plan

KIB, MIB, GIB = 2**10, 2**20, 2**30
BARS, SHOWN = "▁▂▃▄▅▆▇█", 48


@flagged(*FLAGS)
def plan(
    source: Input,
    output: Output = None,
    *,
    settings: Settings = None,
    as_json: Json = False,
    **options: object,
) -> None:
    """Say what `recast edit` with the same flags would take: memory, time, FLOPs, disk; nothing is edited.

    Evaluations of the network are counted by shapes, products timed for a moment, and the rest on the first frames.
    """
    from recast.editing.checks import check_inputs, check_target, treated
    from recast.editing.loaded import Model
    from recast.editing.resolve import resolve
    from recast.evaluation.plan import planned
    from recast.evaluation.room import within
    from recast.video.read import opened

    target = output or usual_target(source)
    request = request_from(source, target, options, settings, overwrite=True)
    check_inputs(request)
    clip = treated(opened(source, request.on_damage), request)
    check_target(request, clip)
    model = Model.asked(request)
    fitted = within(request, model)
    resolved = resolve(fitted.request, fitted.model, clip)
    found = planned(resolved, fitted.model, target, lambda: int(peak_gib() * GIB))
    curves = {
        name: [round(curve(frame), 4) for frame in range(found.frames)] for name, curve in resolved.curves.items()
    }
    if as_json:
        more = {"output": str(target), "seconds_in_all": sum(found.seconds.values())}
        print(json.dumps(asdict(found) | more | {"schedules": curves, "notes": fitted.notes}))
    else:
        less = {"less at once": "; ".join(fitted.notes)} if fitted.notes else {}
        shown = less | {name: drawn(values) for name, values in curves.items()}
        tell(_lines(found) | shown, title=f"{source} to {target}")


def tell_generation(request: "Request", *, as_json: bool) -> None:
    """What `recast generate` would take."""
    from recast.editing.loaded import Model
    from recast.evaluation.generation_plan import planned_generation

    model = Model.asked(request)
    found = planned_generation(request, model, lambda: int(peak_gib() * GIB))
    if as_json:
        print(json.dumps(asdict(found) | {"seconds_in_all": sum(found.seconds.values())}))
        return
    scenes = f", {len(found.frames)} scenes" if len(found.frames) > 1 else ""
    lines = {
        "frames": f"{sum(found.frames):,}{scenes}, {found.size[0]}x{found.size[1]}, {found.fps:g} a second",
        "windows": f"of at most {found.window} frames",
    }
    tell(lines | _computed(found), title=str(request.target))


def drawn(values: Sequence[float]) -> str:
    """A schedule in a line: its least and most, and its course over the clip in at most SHOWN steps."""
    least, most = min(values), max(values)
    picked = [values[place * len(values) // min(SHOWN, len(values))] for place in range(min(SHOWN, len(values)))]
    heights = [(each - least) / (most - least) if most > least else 0.0 for each in picked]
    bars = (BARS[round((len(BARS) - 1) * height)] for height in heights)
    return f"{least:.3g} to {most:.3g} over the frames {''.join(bars)}"


def _lines(plan: "Plan") -> dict[str, object]:
    job = plan.disk["job"]
    return {
        "frames": f"{plan.frames:,}, worked at {plan.size[0]}x{plan.size[1]}",
        "shots": "not known before the clip is read; counted as one" if plan.shots is None else plan.shots,
        "segments": f"{len(plan.segments)} of at most {max(plan.segments)} frames, windows of {plan.window}",
        **_computed(plan),
        "memory": f"{plan.memory / GIB:.2f} GiB at most, whatever the clip's length",
        "disk": f"{_size(plan.disk['result'])} for the result"
        + (f", {_size(job)} until it is done" if job else "")
        + f"; {_size(plan.free)} are free",
    }


def _computed(plan: "Plan | GenerationPlan") -> dict[str, object]:
    stages = ", ".join(f"{stage} {_time(seconds)}" for stage, seconds in plan.seconds.items())
    flops = ", ".join(f"{stage} {count:.3g}" for stage, count in plan.flops.items())
    return {
        "time": f"{_time(sum(plan.seconds.values()))} ({stages})",
        "memory": f"{plan.memory / GIB:.2f} GiB at most",
        "FLOPs": f"{sum(plan.flops.values()):.3g} ({flops}), {plan.evaluations:,} evaluations of the network",
        "rate": f"{plan.device} at {plan.rate / 1e12:.3g} TFLOP/s as measured, of which {plan.use:.0%} is assumed used",
    }


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.1f} min" if hours < 1 else f"{hours:.1f} h"


def _size(count: float) -> str:
    if count < MIB:
        return f"{count / KIB:.0f} KiB"
    return f"{count / MIB:.0f} MiB" if count < GIB else f"{count / GIB:.1f} GiB"
