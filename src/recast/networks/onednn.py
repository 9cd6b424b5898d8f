"""Linear layers by oneDNN, on processors where torch's own fp32 products leave half of the arithmetic unused.

torch multiplies fp32 matrices by MKL, which takes its AVX-512 kernels on Intel's processors alone; on another maker's
with AVX-512 it falls back to AVX2. oneDNN, which torch computes convolutions by, asks what the processor can do.
"""

import os
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry, register_flop_formula

LEAST_NUMBERS = 2**14
"""Of the input. With fewer it takes as long or longer: of 64 columns, 256 rows gain nothing, 1008 half of the time."""


class OneDNNLinear(nn.Linear):
    """nn.Linear whose large fp32 products without gradients are oneDNN's; all others are as ever.

    The sums are the same in another order, so the last digits differ.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        if input.numel() < LEAST_NUMBERS or not _plain(input, self.weight):
            return F.linear(input, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")


def with_onednn(network: nn.Module) -> None:
    """Turns the network's linear layers into OneDNNLinear where this processor gains by it. Their weights stay."""
    if not gains():
        return
    _count_products()
    for layer in network.modules():
        if type(layer) is nn.Linear:  # kinds of its own compute something else
            layer.__class__ = OneDNNLinear


@cache
def gains() -> bool:
    """Whether torch multiplies by MKL on a processor that has AVX-512 and is not Intel's.

    Told from what the processor is, not by timing: what is computed shall not hang on how busy a machine was.
    """
    built = torch.backends.mkl.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return built and torch.backends.cpu.get_cpu_capability() == "AVX512" and "GenuineIntel" not in _maker()


@cache
def _count_products() -> None:
    """Has FlopCounterMode count what oneDNN multiplies, which torch does not list."""

    def flops(x: torch.Size, weight: torch.Size, *_more: object, **_others: object) -> int:
        return 2 * x.numel() * weight[0]

    if torch.ops.mkldnn._linear_pointwise not in flop_registry:
        register_flop_formula(torch.ops.mkldnn._linear_pointwise)(flops)


def _maker() -> str:
    """What names the processor's maker; where nothing tells, Intel, so that nothing is changed."""
    file = Path("/proc/cpuinfo")
    if file.exists():
        return next((line for line in file.read_text().splitlines() if line.startswith("vendor_id")), "GenuineIntel")
    return os.environ.get("PROCESSOR_IDENTIFIER", "GenuineIntel")


def _plain(input: Tensor, weight: Tensor) -> bool:
    """Whether this product is fp32 on a processor, outside of autocast, and nothing asks for its gradient."""
    learns = torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad)
    fp32 = input.dtype == weight.dtype == torch.float32 and input.device.type == weight.device.type == "cpu"
    return fp32 and not learns and not torch.is_autocast_enabled("cpu")
