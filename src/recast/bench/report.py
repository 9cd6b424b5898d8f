"""What a run of benchmarks found: rows for a table, and JSON to send to others."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from operator import truediv
from statistics import median
from typing import Any

import torch

from recast.bench.case import BenchConfig
from recast.bench.timing import BenchRun, Timing

TIMES = ("seconds", "spread", "busy", "first", "a second")
HEADINGS = ("what", "size", *TIMES, "TFLOP", "GB", "floor", "of floor", "ratio")
LIBRARIES = ("torch", "diffusers", "transformers", "av")


@dataclass(frozen=True, eq=False)
class BenchReport:
    """A run, and how it was asked for."""

    config: BenchConfig
    run: BenchRun

    @property
    def head(self) -> dict[str, object]:
        """The machine and versions, and the rates that floors are made of."""
        device = self.config.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
        return {
            "recast": version("recast-video"),
            **{each: version(each) for each in LIBRARIES},
            "device": f"{device.type}, {name or platform.machine()}, {torch.get_num_threads()} threads",
            "precision": self.config.precision,
            "product, TFLOP/s": round(self.run.product / 1e12, 4),
            "copy, GB/s": round(self.run.copy / 1e9, 2),
        }

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """A line for each case, by HEADINGS; nothing stands where nothing is known."""
        return [_row(self.to_row(timing)) for timing in self.run.timings]

    def to_json(self) -> dict[str, Any]:
        """All of it, every turn's seconds too."""
        return {**self.head, "rows": [self.to_row(timing) for timing in self.run.timings]}

    def to_row(self, timing: Timing) -> dict[str, Any]:
        """One case in JSON's types; seconds as they were, and what follows from their median.

        ratio: of seconds to those of the first case of its group and size, turn by turn, the median.
        """
        case, floor, taken = timing.case, self.run.floor(timing.case), timing.median
        return {
            "group": case.group,
            "name": case.name,
            "size": case.size,
            "peer": case.peer,
            "seconds": timing.seconds,
            "busy_seconds": timing.busy,
            "first_seconds": timing.cold,
            "median_seconds": taken,
            "spread_seconds": timing.spread,
            f"{case.unit}s_a_second": case.units / taken,
            "unit": case.unit,
            "flops": case.floor[0],
            "bytes": case.floor[1],
            "floor_seconds": floor,
            "share_of_floor": None if floor is None else floor / taken,
            "ratio": median(map(truediv, timing.seconds, self.run.first(timing).seconds)),
            "flops_ratio": _ratio(case.floor[0], self.run.first(timing).case.floor[0]),
        }


def _ratio(value: float, first: float) -> float | None:
    return value / first if value and first else None


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    name = f"{row['group']}: {row['name']}" + (" (peer)" if row["peer"] else "")
    rate = f"{row[row['unit'] + 's_a_second']:.3g} {row['unit']}s"
    counts = row["ratio"] if row["flops_ratio"] is None else (row["ratio"], row["flops_ratio"])
    ratio = f"{counts:.2f}" if isinstance(counts, float) else "{:.2f}, FLOPs {:.2f}".format(*counts)
    floor, share = row["floor_seconds"], row["share_of_floor"]
    times = (row["median_seconds"], row["spread_seconds"], sum(row["busy_seconds"]) / len(row["busy_seconds"]))
    shown = [f"{each:.3g}" for each in (*times, row["first_seconds"])]
    work = (f"{row['flops'] / 1e12:.3g}" if row["flops"] else "", f"{row['bytes'] / 1e9:.3g}" if row["bytes"] else "")
    least = ("", "") if floor is None else (f"{floor:.3g}", f"{share:.0%}".replace("%", " %"))
    return (name, row["size"], *shown, rate, *work, *least, ratio)
