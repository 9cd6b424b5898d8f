"""One run on one or many processes: torchrun starts them, DDP or FSDP2 joins their gradients."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from recast.engine.config import BatchShard, Loss, LossOutput, Network
from recast.engine.launch import FRESH_STORE
from recast.engine.monitor import ImagePixels, SampleDrawer
from recast.errors import RequestError

Gathered = TypeVar("Gathered")


class Scored(nn.Module, Generic[Network]):
    """A network and its loss as one module, so that engines see one call of `forward`, whatever the loss calls."""

    def __init__(self, network: Network, loss: Loss[Network]) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(self, share: BatchShard) -> tuple[Tensor, LossOutput | None]:
        """The mean loss of a share, and what it is made of where the loss says so."""
        answer = self.loss(self.network, share)
        return (answer.mean, answer) if isinstance(answer, LossOutput) else (answer, None)

    def shown(self, samples: SampleDrawer) -> ImagePixels:
        """A picture of what the network does."""
        return samples(self.network)


@dataclass(frozen=True)
class Engine:
    """This process's place among those of the run.

    way: a name in ENGINES. device: where this process computes, such as cpu or cuda:3.
    """

    way: str = "alone"
    device: str = "cpu"
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def spread(self, network: Network, loss: Loss[Network]) -> tuple[Scored[Network], nn.Module]:
        """What is trained, and the module to call for its loss, on this process's device.

        Sharded networks are copies; `gather` brings their weights back. All processes begin with those of the first.
        """
        scored = Scored(network, loss).to(self.device)
        if self.world > 1:
            for tensor in scored.state_dict().values():
                dist.broadcast(tensor, 0)
        return ENGINES[self.way](scored, self)

    def grad_sync(self, module: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Gradients are joined over the processes only in the last of a step's parts; before, they add up here."""
        if isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(last)
        if isinstance(module, DistributedDataParallel) and not last:
            return module.no_sync()
        return nullcontext()

    def reshard(self, module: nn.Module) -> None:
        """Forgets weights that were gathered for a call without a backward pass, which would else serve the next."""
        if isinstance(module, FSDPModule):
            module.reshard()

    def mean(self, values: Tensor) -> Tensor:
        """Numbers, averaged over the processes. A NaN of one is a NaN of all."""
        if self.world > 1:
            dist.all_reduce(values)
        return values / self.world

    def all_gather(self, value: Gathered) -> Sequence[Gathered]:
        """What every process says, by rank; none goes on before all have spoken."""
        if self.world == 1:
            return [value]
        gathered: list = [None] * self.world
        dist.all_gather_object(gathered, value)
        return gathered

    @torch.no_grad()
    def gather(self, scored: Scored[Network], network: Network) -> None:
        """Copies the weights of what was trained into the network that it was made from, whole, on every process."""
        if scored.network is network:
            return
        own = network.state_dict()
        for name, tensor in scored.network.state_dict().items():
            own[name].copy_(tensor.full_tensor() if isinstance(tensor, DTensor) else tensor)


def _alone(scored: Scored, _engine: Engine) -> tuple[Scored, nn.Module]:
    return scored, scored


def _replicated(scored: Scored, _engine: Engine) -> tuple[Scored, nn.Module]:
    # On steps of images the layers over time have no gradient. Where all have one, DDP warns once.
    return scored, DistributedDataParallel(scored, find_unused_parameters=True)


def _sharded(scored: Scored, engine: Engine) -> tuple[Scored, nn.Module]:
    """Every block of the network is a group of its own: gathered when it is called, and let go after."""
    whole, scored = scored.network, Scored(deepcopy(scored.network), scored.loss)
    whole.to("cpu")  # so that the device holds no more than its shard
    mesh = init_device_mesh(torch.device(engine.device).type, (engine.world,))
    for block in _blocks(scored.network):
        fully_shard(block, mesh=mesh)
    fully_shard(scored, mesh=mesh)
    register_fsdp_forward_method(scored, "shown")
    return scored, scored


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The members of the outermost lists of modules: what networks call their blocks or layers."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from (block for block in child if any(True for _ in block.parameters()))
        else:
            yield from _blocks(child)


ENGINES: dict[str, Callable[[Scored, Engine], tuple[Scored, nn.Module]]] = {
    "alone": _alone,
    "ddp": _replicated,
    "fsdp": _sharded,
}
"""How processes share a network. ddp: each holds all of it, the fastest while it fits; fsdp: each holds a shard."""
SINGLE = Engine()


@contextmanager
def joined(way: str = "ddp", device: str | None = None) -> Iterator[Engine]:
    """This process as one of those that torchrun started; alone where it was started by hand.

    device: "cpu" or "cuda"; None takes a GPU where there is one. Raises RequestError for an unknown way, and where
    torchrun would start processes again that could not find each other.
    """
    if way not in ENGINES:
        raise RequestError(f"no engine is called {way!r}; known: {', '.join(ENGINES)}")
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if "RANK" not in os.environ:
        yield Engine(device=kind)
        return
    if (
        int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
        and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    ):
        raise RequestError(f"torchrun --max-restarts needs {FRESH_STORE}=1 in its environment")
    place = kind
    if kind == "cuda":
        place = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(place)
    dist.init_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo")
    try:
        yield Engine(way, place, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
