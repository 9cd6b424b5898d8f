"""What training would take, told: the list of presets, and `recast train --dry-run`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from recast.cli.table import tell
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.training.cost import Cost
    from recast.training.preset import Preset

GIB = 2**30


def tell_presets(*, as_json: bool) -> None:
    """Prints every preset, what it is for and where it is run."""
    from recast.recipes import PRESETS

    listed = {
        name: {
            "about": preset.about,
            "steps": preset.config.steps,
            "batch": dict(preset.stage.batch),
            "hardware": f"{preset.hardware.devices} x {preset.hardware.name}",
            "after": preset.after or None,
            "measured": preset.measured or None,
        }
        for name, preset in PRESETS.items()
    }
    if as_json:
        print(json.dumps(listed))
        return
    for name, preset in listed.items():
        tell({key: value for key, value in preset.items() if value}, title=name)


def tell_cost(name: str, preset: "Preset | None", *, as_json: bool) -> None:
    """Prints what a preset would take. Raises RequestError for what is no training."""
    if preset is None:
        raise RequestError(f"{name} trains no network of its own; only presets of one training can be counted")
    from recast.training.cost import cost

    counted = cost(preset)
    if as_json:
        print(json.dumps({"preset": name, "command": preset.command(name)} | _numbers(counted, preset)))
    else:
        tell({"command": preset.command(name), "about": preset.about, "after": preset.after or "nothing"}, title=name)
        tell(_lines(counted, preset))


def _numbers(cost: "Cost", preset: "Preset") -> dict[str, object]:
    more: dict[str, object] = {"hardware": asdict(preset.hardware), "measured": preset.measured or None}
    return {**asdict(cost), "batch": dict(preset.stage.batch), **more}


def _lines(cost: "Cost", preset: "Preset") -> dict[str, object]:
    hardware, parts = preset.hardware, preset.config.accumulate
    rate = f"{hardware.tflops:g} TFLOP/s each, of which {hardware.use:.0%} is assumed to be used"
    chosen = getattr(preset.stage, "checkpointing", "none")
    return {
        "steps": f"{cost.steps:,}",
        "batch": ", ".join(f"{rows:,} {kind}" for kind, rows in preset.stage.batch.items()),
        "seen": ", ".join(f"{rows:,} {kind}" for kind, rows in cost.seen.items()),
        "weights": f"{cost.weights / 1e6:,.1f} M, of which {cost.trained / 1e6:,.1f} M are trained",
        "FLOPs": ", ".join(f"{row.flops:.3g} {kind[:-1]}" for kind, row in cost.rows.items())
        + f"; {cost.flops:.3g} in all",
        "hardware": f"{hardware.devices} x {hardware.name}, {rate}",
        "memory": ", ".join(
            f"{bytes_ / GIB:.1f} GiB{' (this preset)' if way == chosen else ''} with checkpointing {way}"
            for way, bytes_ in cost.memory.items()
        )
        + f"; of {hardware.gib:g}, accumulating {parts}",
        "hours": f"{cost.hours:.2f}, computed",
        "measured": preset.measured or "not yet",
    }
