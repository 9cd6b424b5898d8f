"""Configuration of a training run, and the part of a batch that each process computes."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from recast.engine.precision import AUTO, PRECISIONS
from recast.errors import RequestError

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class BatchShard:
    """Which part of the batch of a step: rows part, part + parts, part + 2 parts ... of the one global batch."""

    step: int
    part: int = 0
    parts: int = 1

    def rows(self, batch: int) -> range:
        """Numbers of the rows, of `batch` in all. Raises RequestError where the parts would not be equal."""
        if batch % self.parts:
            raise RequestError(
                f"a batch of {batch} does not divide into {self.parts} equal parts (accumulate x processes); "
                f"choose a multiple of {self.parts}"
            )
        return range(self.part, batch, self.parts)

    def undivided(self) -> int:
        """The step, for a loss that needs its whole batch at once. Raises RequestError where it is in parts."""
        if self.parts > 1:
            raise RequestError(
                f"this loss compares the rows of a batch with each other and cannot be split into {self.parts} parts; "
                "train it in one process with accumulate=1"
            )
        return self.step


@dataclass(frozen=True, eq=False)
class LossOutput:
    """A loss that says what it is made of, so that it can be watched by noise level.

    mean: what is trained on. rows: each row's own loss; levels: its noise level, 0 clean to 1 pure noise.
    waited: seconds that passed until the rows were there, during which nothing was computed.
    """

    mean: Float[Tensor, ""]
    rows: Float[Tensor, " b"]
    levels: Float[Tensor, " b"]
    waited: float = 0.0


Loss = Callable[[Network, BatchShard], Tensor | LossOutput]
"""The mean loss of a network over its share of a step's batch.

Each row's random numbers come from (seed, step, row) alone, so that a resumed run, and any division of the batch, see
the same rows.
"""


LAST_RATE = 0.02
"""Share of the learning rate at which trainings end where nothing else is stated."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how fast to train.

    rate: peak learning rate; warmup: steps to reach it, from which it falls along a cosine to its share `last_rate`; a
    share of 1 keeps it constant.
    ema: decay of the averaged weights, which are the ones that are kept. clip: largest gradient norm.
    slow: a pattern; weights with a name that has it learn at `slow_share` of the rate; empty is none.
    precision: of products: bf16, fp32, or auto, which is resolved once, when the run is opened (`with_precision`).
    keep_every: steps from one checkpoint to the next.
    accumulate: parts that a process takes its rows of a batch in, one after the other, where they need too much memory.
    """

    steps: int
    rate: float = 1e-3
    warmup: int = 200
    last_rate: float = LAST_RATE
    decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    slow: str = ""
    slow_share: float = 1.0
    precision: str = AUTO
    keep_every: int = 500
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.precision not in (AUTO, *PRECISIONS):
            raise RequestError(f"no precision is called {self.precision!r}; known: {', '.join([AUTO, *PRECISIONS])}")
        if min(self.steps, self.keep_every, self.accumulate) < 1:
            raise RequestError("steps, keep_every and accumulate are at least 1")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        falling = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
        return self.rate * (self.last_rate + (1 - self.last_rate) * falling)

    def ema_at(self, step: int) -> float:
        """The decay of the average after a step; a young one follows quickly: the usual ramp."""
        return min(self.ema, (step + 1) / (step + 10))

    def decisive(self) -> dict[str, object]:
        """What the weights depend on: all but how often they are kept and how a batch is divided."""
        others = {"keep_every", "accumulate"}
        if self.last_rate == LAST_RATE:  # checkpoints from before it was a setting do not name it
            others.add("last_rate")
        return {name: value for name, value in asdict(self).items() if name not in others}
