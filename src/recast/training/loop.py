"""One readable training loop for every network: AdamW, warm-up and cosine, averaged weights, exact resume."""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recast.errors import RecastError, RequestError

Network = TypeVar("Network", bound=nn.Module)
MAX_BAD_STEPS = 20


@dataclass(frozen=True)
class Share:
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
        """The step, for a loss that needs its whole batch at once. RequestError where it is in parts."""
        if self.parts > 1:
            raise RequestError(
                f"this loss compares the rows of a batch with each other and cannot be split into {self.parts} parts; "
                "train it in one process with accumulate=1"
            )
        return self.step


@dataclass(frozen=True, eq=False)
class Measured:
    """A loss that says what it is made of, so that it can be watched by noise level.

    mean: what is trained on. rows: each row's own loss; levels: its noise level, 0 clean to 1 pure noise.
    """

    mean: Float[Tensor, ""]
    rows: Float[Tensor, " b"]
    levels: Float[Tensor, " b"]


Loss = Callable[[Network, Share], Tensor | Measured]
"""The mean loss of a network over its share of a step's batch.

Each row draws its chance from (seed, step, row) alone, so that a resumed run, and any division of the batch, see the
same rows.
"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how fast to train.

    rate: peak learning rate; warmup: steps to reach it, from which it falls along a cosine to a fiftieth.
    ema: decay of the averaged weights, which are the ones that are kept. clip: largest gradient norm.
    keep_every: steps from one checkpoint to the next.
    accumulate: parts that a process takes its rows of a batch in, one after the other, where they need too much memory.
    """

    steps: int
    rate: float = 1e-3
    warmup: int = 200
    decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    keep_every: int = 500
    accumulate: int = 1

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def fit(network: Network, loss: Loss[Network], recipe: Recipe, folder: Path, *, device: str = "cpu") -> Network:
    """Trains `network` in place and leaves it with its averaged weights; continues where `folder` holds a checkpoint.

    Steps whose loss or gradient is not finite are skipped and counted. Raises RecastError after 20 of them in a row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(_grouped(weights, recipe.decay), lr=recipe.rate, betas=(0.9, 0.99))
    averaged = [weight.detach().clone() for weight in weights]
    step = _resumed(folder, weights, optimizer, averaged)
    network.train()
    started, first, bad = time.monotonic(), step, 0
    while step < recipe.steps:
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step)
        # bfloat16 products, fp32 weights and sums: twice to five times the speed where the processor has them.
        value = torch.zeros((), device=device)
        for part in range(recipe.accumulate):
            with torch.autocast(device, dtype=torch.bfloat16):
                answer = loss(network, Share(step, part, recipe.accumulate))
            mean = answer.mean if isinstance(answer, Measured) else answer
            (mean / recipe.accumulate).backward()
            value += mean.detach() / recipe.accumulate
        norm = torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
        bad = 0 if torch.isfinite(norm) and torch.isfinite(value) else bad + 1
        if bad > MAX_BAD_STEPS:
            raise RecastError(f"the loss was not finite in {bad} steps in a row, up to {step}; lower the learning rate")
        if not bad:
            optimizer.step()
            # A young average should follow quickly: the usual ramp of its decay.
            torch._foreach_lerp_(averaged, [w.detach() for w in weights], 1 - min(recipe.ema, (step + 1) / (step + 10)))
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % 50 == 0:
            pace = (step - first) / (time.monotonic() - started)
            _log(folder, {"step": step, "loss": round(value.item(), 5), "norm": round(norm.item(), 3), "pace": pace})
        if step % recipe.keep_every == 0 or step == recipe.steps:
            _keep(folder, step, weights, optimizer, averaged)
    with torch.no_grad():
        torch._foreach_copy_(list[Tensor](weights), averaged)
    return network.eval()


def _grouped(weights: list[nn.Parameter], decay: float) -> list[dict]:
    """Matrices and kernels decay; biases and norms do not."""
    return [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]


def _resumed(
    folder: Path, weights: list[nn.Parameter], optimizer: torch.optim.Optimizer, averaged: list[Tensor]
) -> int:
    path = folder / "state.pt"
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    with torch.no_grad():
        torch._foreach_copy_(list[Tensor](weights), state["weights"])
        torch._foreach_copy_(averaged, state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def _keep(
    folder: Path, step: int, weights: list[nn.Parameter], optimizer: torch.optim.Optimizer, averaged: list[Tensor]
) -> None:
    state = {"step": step, "weights": [w.detach() for w in weights], "averaged": averaged}
    part = folder / "state.pt.part"
    with part.open("wb") as file:
        torch.save({**state, "optimizer": optimizer.state_dict()}, file)
        file.flush()
        os.fsync(file.fileno())
    part.rename(folder / "state.pt")


def _log(folder: Path, row: dict) -> None:
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
