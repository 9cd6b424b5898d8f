"""Changes of single weights that are trained beside the frozen weight, scaled, merged, and taken out again."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize


class WeightChange(nn.Module):
    """A parametrization of one weight: called with the frozen weight, it gives the changed one, in the same shape.

    Its parameters, by the names in PARTS of its class, are all that is trained and stored. A new one changes nothing.
    scale: of the change; 0 is the frozen weight, bit for bit, and 1 the change as it was trained.
    """

    PARTS: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.scale = 1.0

    def parts(self) -> dict[str, Tensor]:
        """Its trained tensors by the names in PARTS."""
        return {name: getattr(self, name).detach() for name in self.PARTS}


class WholeChange(WeightChange):
    """Adds a tensor of the weight's own shape."""

    PARTS = ("whole",)

    def __init__(self, base: Tensor, *, rank: int = 0) -> None:  # noqa: ARG002 -- all changes are made alike
        super().__init__()
        self.whole = nn.Parameter(torch.zeros_like(base))

    def forward(self, base: Tensor) -> Tensor:
        """The changed weight."""
        return base + self.scale * self.whole


class LowRankChange(WeightChange):
    """Adds a product of two matrices. LoRA, arXiv:2106.09685, equation 3; kernels are taken as matrices by output.

    rank: of the product, at most the weight's own. Differs: there is no factor alpha / rank beside `scale`.
    """

    PARTS = ("up", "down")

    def __init__(self, base: Tensor, *, rank: int) -> None:
        super().__init__()
        rows, columns = base.flatten(1).shape
        rank = min(rank, rows, columns)
        self.up = nn.Parameter(base.new_zeros(rows, rank))
        # As a linear layer's weights begin: uniform within one over the root of its inputs.
        bound = columns**-0.5
        self.down = nn.Parameter(torch.empty(rank, columns).uniform_(-bound, bound).to(base))

    def forward(self, base: Tensor) -> Tensor:
        """The changed weight."""
        return base + self.scale * (self.up @ self.down).view_as(base)


class SpectralChange(WeightChange):
    """Shifts the singular values: U relu(S + scale shift) V. SVDiff, arXiv:2303.11305, equation 2; SAVE's tensors.

    The singular vectors are found anew from the frozen weight and never stored.
    """

    PARTS = ("shift",)
    left: Tensor
    values: Tensor
    right: Tensor

    def __init__(self, base: Tensor, *, rank: int = 0) -> None:  # noqa: ARG002 -- all changes are made alike
        super().__init__()
        left, values, right = torch.linalg.svd(base.detach().flatten(1), full_matrices=False)
        for name, found in {"left": left, "values": values, "right": right}.items():
            self.register_buffer(name, found, persistent=False)
        self.shift = nn.Parameter(torch.zeros_like(values))

    def forward(self, base: Tensor) -> Tensor:
        """The changed weight; as a sum, so that without a shift it is the weight itself and not its reconstruction."""
        apart = F.relu(self.values + self.scale * self.shift) - self.values
        return base + ((self.left * apart) @ self.right).view_as(base)

    def penalty(self) -> Tensor:
        """SAVE's spectral shift regularizer, arXiv:2305.18670: the larger a singular value, the more a shift costs."""
        return (self.values * self.shift.square()).sum()


CHANGES: dict[str, type[WholeChange] | type[LowRankChange] | type[SpectralChange]] = {
    "whole": WholeChange,
    "lora": LowRankChange,
    "spectral": SpectralChange,
}
"""Every kind of change by name; each is made from the frozen weight, in fp32, and a rank, which only lora reads."""


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight has rows and columns, as lora and spectral need them."""
    return weight.ndim > 1


@contextmanager
def changed_weights(network: nn.Module, changes: Mapping[str, WeightChange]) -> Iterator[None]:
    """Inside the block the weights of these names are changed; after it they are themselves again, bit for bit."""
    with ExitStack() as stack:
        for name, change in changes.items():
            stack.callback(_put_in(network, name, change))
        yield


@torch.no_grad()
def merge(network: nn.Module, name: str, changes: list[WeightChange]) -> None:
    """Puts the sum of changes, each found from the same weight, into the network itself, for good."""
    weight = network.get_parameter(name)
    base = weight.float()
    first, *others = changes
    whole = first(base)
    for change in others:
        whole = whole + (change(base) - base)
    weight.copy_(whole)


def _put_in(network: nn.Module, name: str, change: WeightChange) -> Callable[[], None]:
    """Changes one weight; what it gives takes the change out again."""
    path, _, weight = name.rpartition(".")
    module = network.get_submodule(path)
    order = list(module._parameters)
    parametrize.register_parametrization(module, weight, change)

    def take_out() -> None:
        parametrize.remove_parametrizations(module, weight, leave_parametrized=False)
        for each in order:  # torch puts the weight behind the others
            module._parameters[each] = module._parameters.pop(each)

    return take_out
