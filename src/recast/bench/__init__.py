"""Speed on this machine: networks beside their peers, edits, files, training and curation, each beside its floor.

Everything of a run takes turns, so that other work on the machine slows all of it alike; the rates that floors are
made of are measured in the same turns.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from recast.bench.case import BenchCase, BenchConfig


def _of(module: str) -> Callable[[BenchConfig], list[BenchCase]]:
    # What a group needs takes seconds to import, and most runs are of one.
    return lambda config: import_module(f"recast.bench.{module}").cases(config)


GROUPS: Mapping[str, Callable[[BenchConfig], list[BenchCase]]] = MappingProxyType(
    {name: _of(name) for name in ("networks", "clips", "edits", "media", "training", "curation")}
)
"""What makes the cases of a group, by its name."""
