"""A limit on what is allocated while a network is built: configurations may ask for any size, and weights tell it."""

# ruff: noqa: ANN401 -- an operation takes and gives whatever it does

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from recast.errors import WeightsError

SPARE_BYTES = 2**28
"""What may be allocated besides: tables, masks, and what takes no part in the weights' files."""
TIMES = 3
"""A network, the numbers that it is begun with, and its weights in fp32."""
MOST_TENSORS = 200_000
FACTORIES = frozenset(
    f"aten::{name}"
    for name in (
        *("empty", "empty_strided", "zeros", "ones", "full", "rand", "randn", "randint", "eye", "arange", "linspace"),
        *("logspace", "new_empty", "new_empty_strided", "new_zeros", "new_ones", "new_full", "tri", "tril_indices"),
    )
)
"""Operations that make a tensor of a size that they are told."""


@contextmanager
def allocating_at_most(what: str, weights_bytes: int) -> Iterator[None]:
    """Inside, tensors are made up to some times the bytes of the weights; more raises WeightsError, unmade.

    what: the component and its folder, for the message.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    most = TIMES * weights_bytes + SPARE_BYTES
    spent, count = 0, 0

    class Budget(TorchDispatchMode):
        def __torch_dispatch__(
            self,
            func: Any,
            types: Any,
            args: Sequence[Any] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            nonlocal spent, count
            if func.name().partition(".")[0] in FACTORIES:
                spent, count = spent + 4 * _elements(func, args, kwargs or {}), count + 1
                if spent > most or count > MOST_TENSORS:
                    raise WeightsError(
                        f"{what} asks for networks of {spent / 2**30:.3g} GiB in {count} tensors, and its weights have "
                        f"{weights_bytes / 2**30:.3g} GiB; its configuration is damaged: get the folder again"
                    )
            return func(*args, **(kwargs or {}))

    with Budget():
        yield


def _elements(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    """How many numbers the tensor will have."""
    given = {each.name: value for each, value in zip(func._schema.arguments, args, strict=False)} | dict(kwargs)
    if "size" in given:
        return math.prod(given["size"])
    if "steps" in given:
        return given["steps"]
    if "n" in given:
        return given["n"] * given.get("m", given["n"])
    if "end" in given:
        return abs(given["end"] - given.get("start", 0)) / abs(given.get("step", 1) or 1)
    return 0
