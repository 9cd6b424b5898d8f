"""What is timed, and how a run of it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from recast.engine.precision import PRECISIONS

Floor = tuple[float, float]
"""FLOPs, twice the multiply-adds, and bytes that operators read and write; 0 where nothing is known of one."""


@dataclass(frozen=True, eq=False)
class BenchCase:
    """One thing to time. work: does it once. floor: of doing it once. units: that it gets through, such as 8 frames.

    size: of what it works on, in words. peer: whether it is not ours, but what ours is held against.
    """

    group: str
    name: str
    size: str
    work: Callable[[], object]
    units: float
    unit: str
    floor: Floor = (0.0, 0.0)
    peer: bool = False


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """How a run is asked for. folder: for what is written on the way, which is removed after it.

    model, methods, steps: of edits. sides: short sides of edits, in pixels; the model's own where there are none.
    width: of networks and their peers, in WIDTHS. frames: of a clip. presets: generators to train. rows: of a step.
    checkpointing: of a step, none, selective or full. precision: of PRECISIONS.
    """

    folder: Path
    device: torch.device
    model: str = "pocket"
    methods: tuple[str, ...] = ()
    steps: int | None = None
    sides: tuple[int, ...] = ()
    width: str = "middle"
    frames: int = 8
    presets: tuple[str, ...] = ()
    rows: int | None = None
    checkpointing: Literal["none", "selective", "full"] = "none"
    precision: str = "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """Of networks' weights and activations."""
        return PRECISIONS[self.precision] or torch.float32
