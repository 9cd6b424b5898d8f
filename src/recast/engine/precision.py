"""Precision of matrix products, fp32 or bfloat16, chosen by measuring both on the device.

A processor that multiplies bfloat16 does so about twice as fast as fp32. One that does not emulates it: 0.9 GFLOP/s
where fp32 reaches 54 has been measured.
"""

import time
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import torch

PRECISIONS: Mapping[str, torch.dtype | None] = MappingProxyType({"bf16": torch.bfloat16, "fp32": None})
"""What products are computed in, by name; None is as the weights are, which are always fp32."""
AUTO = "auto"
"""The one of PRECISIONS that is worth it on the device at hand."""
WORTHWHILE = 1.2
"""How many times as fast as fp32 bfloat16 must be to be chosen.

It keeps eight bits of a number, and casting weights and activations takes time that a bare product does not show;
beside other work, two measurements of one rate differ by about a tenth.
"""
SECONDS = 0.1
"""Of products, for each precision."""
FIRST_SIDE = 256
"""Takes 0.03 s at 1 GFLOP/s."""
LAST_SIDES = {"cuda": 8192, "mps": 4096, "cpu": 1024}
"""Where products are as fast as they become."""

Rates = Mapping[str, float]
"""Floating-point operations a second in products of large matrices, by precision."""
Meter = Callable[[str], Rates]
"""Measures a device, such as cpu or cuda:3."""


def matrix_rates(device: str = "cpu") -> Rates:
    """What this device reaches in products of square matrices, by precision: the best of several sizes and tries.

    Takes about a fifth of a second, then kept for the process, for each device and number of threads. The unit that
    model FLOPs utilization (arXiv:2204.02311, appendix B) is measured in.
    """
    return _measured(device, torch.get_num_threads())


def chosen_precision(rates: Rates) -> str:
    """bf16 where it is at least 1.2 times as fast as fp32, else fp32."""
    return "bf16" if rates["bf16"] >= WORTHWHILE * rates["fp32"] else "fp32"


def autocast(device: str, precision: str) -> torch.autocast:
    """A block whose products are computed in a precision of PRECISIONS; with fp32 it changes nothing."""
    dtype = PRECISIONS[precision]
    return torch.autocast(torch.device(device).type, dtype=dtype, enabled=dtype is not None)


@cache
def _measured(device: str, _threads: int) -> Rates:
    trials = {name: _Trial(device, dtype or torch.float32) for name, dtype in PRECISIONS.items()}
    # In turns, so that other work on the machine slows both.
    while pending := [trial for trial in trials.values() if trial.seconds_left > 0]:
        for trial in pending:
            trial.step()
    return MappingProxyType({name: trial.rate for name, trial in trials.items()})


class _Trial:
    """Products in one number format, larger and larger while there is time."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.rate, self.side, self.seconds_left = 0.0, FIRST_SIDE, SECONDS
        self._resize(FIRST_SIDE)
        self._seconds()  # the first product also loads and chooses kernels

    def step(self) -> None:
        """Times one product, and makes the next larger where three of those would still be in time."""
        seconds = self._seconds()
        self.rate = max(self.rate, 2 * self.side**3 / seconds)
        self.seconds_left -= seconds
        if self.side < LAST_SIDES.get(self.device.type, FIRST_SIDE) and self.seconds_left > 3 * 8 * seconds:
            self._resize(2 * self.side)

    def _resize(self, side: int) -> None:
        self.side = side
        self.factor = torch.full((side, side), 0.5, dtype=self.dtype, device=self.device)
        self.product = torch.empty_like(self.factor)

    def _seconds(self) -> float:
        self._wait()
        began = time.perf_counter()
        torch.mm(self.factor, self.factor, out=self.product)
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
