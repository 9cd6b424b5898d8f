"""Peak memory of live tensors: follows every storage that operators allocate until it is freed."""

import weakref
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class Alive(TorchDispatchMode):
    """Counts bytes of storages allocated inside the block. most: the peak so far, without earlier storages.

    operators: that computed or copied something, which views do not; each is about one kernel of a GPU. moved: bytes
    that these read and wrote, each tensor once an operator. Storages are followed by weak references, so tensors that
    autograd saves for the backward pass count until freed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most, self.operators, self.moved = 0, 0, 0, 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        given = {id(x.untyped_storage()) for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)}
        answer = func(*args, **(kwargs or {}))
        if _works(func, answer, given):
            self.operators += 1
            self.moved += sum(x.numel() * x.element_size() for x in tree_iter((args, kwargs, answer)) if _is_one(x))
        for made in tree_iter(answer):
            if isinstance(made, Tensor) and id(made.untyped_storage()) not in given:
                self._follow(made.untyped_storage())
        return answer

    def _follow(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size


def _is_one(x: object) -> TypeGuard[Tensor]:
    return isinstance(x, Tensor)


def _works(func: Any, answer: Any, given: set[int]) -> bool:  # noqa: ANN401 -- an operator and what it gives
    """Whether an operator writes: into what it was given, or into a storage of its own."""
    made = {id(x.untyped_storage()) for x in tree_iter(answer) if isinstance(x, Tensor)}
    return func._schema.is_mutable or bool(made - given)
