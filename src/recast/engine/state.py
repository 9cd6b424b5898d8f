"""What training changes: weights, their running average and the optimiser's moments. Whole or sharded alike."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from recast.engine.config import TrainConfig

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps for each weight, besides how often it has moved it."""


@dataclass(frozen=True, eq=False)
class TrainState:
    """A network's trained weights by name, their average, and AdamW.

    Sharded weights are DTensors, and so are their average and moments; the rest is the same.
    """

    network: nn.Module
    weights: dict[str, nn.Parameter]
    ema: dict[str, Tensor]
    optimizer: torch.optim.AdamW

    @classmethod
    def of(cls, network: nn.Module, recipe: TrainConfig) -> "TrainState":
        """One that has learned nothing yet. Weights that ask for no gradient stay as they are."""
        weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        averaged = {name: weight.detach().clone() for name, weight in weights.items()}
        return cls(network, weights, averaged, torch.optim.AdamW(_grouped(weights, recipe), betas=(0.9, 0.99)))

    def norm(self) -> Tensor:
        """The length of the gradient, over all shards."""
        norm = torch.nn.utils.get_total_norm([w.grad for w in self.weights.values() if w.grad is not None])
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    def advance(self, norm: Tensor, recipe: TrainConfig, step: int) -> None:
        """One step along the gradient, which is made no longer than the recipe allows."""
        torch.nn.utils.clip_grads_with_norm_(self.weights.values(), recipe.clip, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate_at(step) * group["share"]
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(_local(self.ema), _local(self.weights), 1 - recipe.ema_at(step))

    def forget_gradient(self) -> None:
        """Makes ready for the next step."""
        self.optimizer.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All that a checkpoint holds, by folder and name: weights with the network's buffers, average, moments."""
        kept = self.network.state_dict().keys()
        buffers = {name: buffer for name, buffer in self.network.named_buffers() if name in kept}
        moved = {name: state for name, weight in self.weights.items() if (state := self.optimizer.state.get(weight))}
        moments = {f"{name}.{moment}": state[moment] for name, state in moved.items() for moment in MOMENTS}
        weights = {name: weight.detach() for name, weight in self.weights.items()}
        return {"weights": weights | buffers, "averaged": self.ema, "optimizer": moments}

    def step_counts(self) -> dict[str, float]:
        """How often each weight was moved; those that had no gradient yet are left out."""
        states = ((name, self.optimizer.state.get(weight)) for name, weight in self.weights.items())
        return {name: float(state["step"]) for name, state in states if state}

    def expect(self, moves: Mapping[str, float]) -> None:
        """Makes room for the moments of weights that were moved so often."""
        self.optimizer.state.clear()
        for name, count in moves.items():
            weight = self.weights[name]
            room = {moment: torch.zeros_like(weight, memory_format=torch.preserve_format) for moment in MOMENTS}
            self.optimizer.state[weight] = {"step": torch.tensor(count), **room}

    def is_finite(self) -> bool:
        """Whether no number of this process is NaN or Inf."""
        with torch.no_grad():
            return all(bool(part.isfinite().all()) for group in self.tensors().values() for part in _local(group))

    def fingerprint(self) -> str:
        """Of the names and shapes of what is trained."""
        shapes = sorted((name, list(weight.shape)) for name, weight in self.weights.items())
        return hashlib.sha256(repr(shapes).encode()).hexdigest()

    @torch.no_grad()
    def copy_ema(self) -> None:
        """Leaves the network with its averaged weights."""
        torch._foreach_copy_(_local(self.weights), _local(self.ema))

    @contextmanager
    def with_ema(self) -> Iterator[None]:
        """The network has its averaged weights, and is evaluated, while the block runs."""
        with torch.no_grad():
            before = [weight.clone() for weight in _local(self.weights)]
        self.copy_ema()
        self.network.eval()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(_local(self.weights), before)
            self.network.train()


def _local(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """This process's shards."""
    whole = (tensor.detach() for tensor in tensors.values())
    return [tensor.to_local() if isinstance(tensor, DTensor) else tensor for tensor in whole]


def _grouped(weights: Mapping[str, nn.Parameter], recipe: TrainConfig) -> list[dict]:
    """Matrices and kernels decay, biases and norms do not; share: of the rate, at which a group learns."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in weights.items():
        share = recipe.slow_share if recipe.slow and re.search(recipe.slow, name) else 1.0
        groups.setdefault((recipe.decay if weight.ndim > 1 else 0.0, share), []).append(weight)
    return [{"params": group, "weight_decay": decay, "share": share} for (decay, share), group in groups.items()]
