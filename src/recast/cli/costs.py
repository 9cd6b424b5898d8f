"""Prints the list of presets, and what a training would cost: `recast train --dry-run`."""

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from recast.cli.table import tell
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.training.cost import Cost
    from recast.training.preset import Preset

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How long a run takes on the machine at hand.

    hours: at the measured rate and the share `use` of it that the preset assumes (MFU). processes: one a device.
    rates: floating-point operations a second of one device, by precision; precision: the one that the run computes in.
    """

    hours: float
    device: str
    processes: int
    precision: str
    rates: dict[str, float]
    use: float

    @classmethod
    def of(cls, preset: "Preset", flops: float, *, device: str, processes: int) -> "Estimate":
        """For a run of so many FLOPs on each of so many devices like this one, which is measured now."""
        from recast.engine.precision import AUTO, chosen_precision, matrix_rates

        rates = dict(matrix_rates(device))
        precision, use = preset.config.precision, preset.hardware.use
        precision = chosen_precision(rates) if precision == AUTO else precision
        hours = flops / (rates[precision] * use) / 3600
        return cls(hours=hours, device=device, processes=processes, precision=precision, rates=rates, use=use)

    def __str__(self) -> str:
        hours = f"{self.hours:,.2f}" if self.hours < 10 else f"{self.hours:,.0f}"
        rate = f"{self.rates[self.precision] / 1e12:.3g} TFLOP/s"
        where = f"{self.processes} x {self.device}, {self.precision} at {rate} as measured"
        return f"{hours} h ({where}, of which {self.use:.0%} is assumed to be used)"


def tell_estimate(name: str, preset: "Preset", flops: float, *, device: str = "cpu", processes: int = 1) -> None:
    """Prints on stderr, before a run begins, how long the whole run takes here. flops: of the run, on one process."""
    estimate = Estimate.of(preset, flops, device=device, processes=processes)
    print(f"{name}: {preset.config.steps:,} steps, on this machine {estimate}", file=sys.stderr, flush=True)


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


def tell_cost(name: str, preset: "Preset | None", *, as_json: bool, device: str, processes: int) -> None:
    """Prints what a preset would take, on its hardware and on this machine.

    processes: on this machine; those on a CPU share it, and count as one. Raises RequestError for what is no training.
    """
    from recast.engine.device import chosen_device
    from recast.training.cost import cost

    kind = chosen_device(device).type
    if preset is None:
        _tell_course(name, as_json=as_json, kind=kind)
        return
    counted = cost(preset)
    processes = processes if kind == "cuda" else 1
    here = Estimate.of(preset, counted.flops / processes, device=kind, processes=processes)
    if as_json:
        numbers = _numbers(counted, preset) | {"this_machine": asdict(here)}
        print(json.dumps({"preset": name, "command": preset.command(name)} | numbers))
    else:
        tell({"command": preset.command(name), "about": preset.about, "after": preset.after or "nothing"}, title=name)
        tell(_lines(counted, preset) | {"on this machine": str(here)})


def _tell_course(name: str, *, as_json: bool, kind: str) -> None:
    """What all trainings of a model that ships would take on this machine, one after the other."""
    from recast.recipes import MODEL_RECIPES
    from recast.training.cost import run_flops

    if name not in MODEL_RECIPES:
        raise RequestError(f"{name} trains no network of its own; only trainings can be counted")
    recipe = MODEL_RECIPES[name]
    presets = {each: recipe.presets[each] for each in recipe.order if each in recipe.presets}
    hours = {
        each: Estimate.of(preset, run_flops(preset), device=kind, processes=1).hours for each, preset in presets.items()
    }
    whole = sum(hours.values())
    if as_json:
        steps = {each: {"steps": preset.config.steps, "hours": hours[each]} for each, preset in presets.items()}
        print(json.dumps({"preset": name, "trainings": steps, "hours": whole}))
        return
    for each, preset in presets.items():
        print(f"{each:<18} {preset.config.steps:>7,} steps  {hours[each]:6.2f} h")
    print(f"{name}: {whole:.1f} h on this machine, and what it takes to render worlds and to fill caches")


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
        "weights": f"{cost.weights / 1e6:,.1f} M, of which {cost.trainable / 1e6:,.1f} M are trained",
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
