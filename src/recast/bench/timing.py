"""Cases timed in turns, beside the rates of products and of copies, which floors are made of."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

import torch
from torch import nn

from recast.bench.case import BenchCase
from recast.networks.placement import placed

PRODUCT_SIDES = {"cuda": 8192, "mps": 4096, "cpu": 1024}
"""Rows and columns of the product that is timed: large enough for products to be as fast as they become."""
COPIED_BYTES = {"cuda": 2**30, "mps": 2**28, "cpu": 2**27}
"""Of one copy, more than a processor's caches hold."""


@dataclass(eq=False)
class Timing:
    """Seconds of each turn of one case, by the clock and of this process's threads, on average. cold: of the first."""

    case: BenchCase
    cold: float = 0.0
    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of its turns but the first, which also loads and chooses kernels."""
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """Between the quartiles of its turns."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = quantiles(self.seconds, n=4)
        return high - low


@dataclass(frozen=True, eq=False)
class BenchRun:
    """All timings of a run. product: FLOPs a second of matrix products. copy: bytes a second, read and written."""

    product: float
    copy: float
    timings: tuple[Timing, ...]

    def floor(self, case: BenchCase) -> float | None:
        """The least seconds that these rates allow a case: all its arithmetic, or all its traffic; None: not known."""
        flops, moved = case.floor
        return max(flops / self.product, moved / self.copy) or None

    def first(self, timing: Timing) -> Timing:
        """The first case of its group and size, which the others are compared with."""
        case = timing.case
        return next(each for each in self.timings if (each.case.group, each.case.size) == (case.group, case.size))


def timed(
    cases: Sequence[BenchCase], rounds: int, device: torch.device, dtype: torch.dtype, watch: Callable[[str], None]
) -> BenchRun:
    """Each case once to warm up, then `rounds` times, in turns. watch: called with the name of what comes next."""
    side, count = PRODUCT_SIDES[device.type], COPIED_BYTES[device.type]
    product = BenchCase("rates", "product", "", _product(side, device, dtype), 2 * side**3, "FLOP")
    copy = BenchCase("rates", "copy", "", _copy(count, device), 2 * count, "byte")
    timings = [Timing(case) for case in (product, copy, *cases)]
    for number in range(rounds + 1):
        for timing in timings:
            watch(f"{timing.case.name} {timing.case.size}".strip())
            seconds, busy = _seconds(timing.case.work, device)
            if number:
                timing.seconds.append(seconds)
                timing.busy.append(busy)
            else:
                timing.cold = seconds
    product_rate, copy_rate = (timing.case.units / min(timing.seconds) for timing in timings[:2])
    return BenchRun(product_rate, copy_rate, tuple(timings[2:]))


def _seconds(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    _wait(device)
    began, worked = time.perf_counter(), time.process_time()
    work()
    _wait(device)
    return time.perf_counter() - began, (time.process_time() - worked) / torch.get_num_threads()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _product(side: int, device: torch.device, dtype: torch.dtype) -> Callable[[], object]:
    """A large product in the fastest way that networks have here."""
    layer = placed(nn.Linear(side, side, bias=False), device, dtype)
    factor = torch.full((side, side), 0.5, device=device, dtype=dtype)
    return lambda: layer(factor)


def _copy(count: int, device: torch.device) -> Callable[[], object]:
    source = torch.ones(count, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)
