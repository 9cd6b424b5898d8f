"""Kernels of attention and compilers by name: other time and memory, and the same picture but for last digits."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn.attention import SDPBackend, sdpa_kernel

from recast.backbones.backbone import Backbone
from recast.backbones.memory import blocks_of
from recast.backbones.video_transformer import VideoTransformerBackbone
from recast.errors import BackboneError

ATTENTION = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}
"""torch's kernels of attention by name; all compute the same sums, in another order. arXiv:2205.14135 for flash."""
_NONE_FITS = ("No viable backend", "No available kernel")
"""How torch begins to say that a kernel cannot do what is asked."""


@contextmanager
def attending_by(name: str) -> Iterator[None]:
    """Attention inside the block is by that kernel of ATTENTION and no other; by `auto` torch takes the fastest.

    Raises BackboneError where the kernel cannot: for the device, a number format, wide heads, or a mask of tokens.
    """
    if name == "auto":
        yield
        return
    try:
        with sdpa_kernel(ATTENTION[name]):
            yield
    except RuntimeError as fault:
        if not str(fault).startswith(_NONE_FITS):
            raise
        wrong = f"attention by {name} cannot be computed for this network, number format and device"
        raise BackboneError(f"{wrong}; leave --attention out, and torch takes what can") from fault


@contextmanager
def compiled_blocks(backbone: Backbone, compiler: str) -> Iterator[None]:
    """Inside the block, blocks of a transformer of video are compiled by one of torch's compilers; by `none` not.

    The first evaluation of a size compiles, for seconds to minutes. UNets are left out: hooks, and features that are
    kept, change their layers on the way, which code that was compiled before would not heed.
    Raises BackboneError for another family, and for weights that come block by block.
    """
    if compiler == "none":
        yield
        return
    check_compiled(backbone, compiler)
    blocks = list(blocks_of(backbone, words=False))
    if any(block._forward_pre_hooks for block in blocks):
        wrong = "blocks whose weights rest in the processor's memory cannot be compiled"
        raise BackboneError(f"{wrong}; leave --compiler out, or give more --vram")
    try:
        for block in blocks:
            block.compile(backend=compiler)
        yield
    finally:
        for block in blocks:
            block._compiled_call_impl = None


def check_compiled(backbone: Backbone, compiler: str) -> None:
    """Raises BackboneError for a compiler with a family whose blocks are not compiled."""
    if compiler != "none" and not isinstance(backbone, VideoTransformerBackbone):
        raise BackboneError("compilers are for transformers of video (Wan, LTX, CogVideoX); leave --compiler out")


@contextmanager
def accelerated(backbone: Backbone, attention: str, compiler: str) -> Iterator[None]:
    """Both of these. Raises what they raise."""
    with compiled_blocks(backbone, compiler), attending_by(attention):
        yield
