"""Networks that need less memory on their device: weights that come block by block, or are stored in eight bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import nn

from recast.backbones.backbone import Backbone
from recast.backbones.video_autoencoder import VideoAutoencoder
from recast.diffusion.schedule import Schedule
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.networks.placement import first_weight

EIGHT_BITS = torch.float8_e4m3fn
BLOCKS = ("down_blocks", "mid_block", "up_blocks", "blocks", "vace_blocks", "transformer_blocks", "block", "layers")
"""Where networks of diffusers and transformers hold most of their weights."""

_STAY = (type, Schedule, ModelFolder, ModelMetadata)
"""What is on no device, or is read on the processor."""


@contextmanager
def streamed_weights(backbone: Backbone, device: str | torch.device) -> Iterator[int]:
    """Inside the block, weights of the network's blocks rest in the processor's memory.

    They are on the device while their block computes, and all are there again afterwards. Answers are the same, bit for
    bit; each evaluation moves the weights once. Adapters cannot be trained or merged inside. Differs from diffusers'
    group offloading, which needs accelerate, moves inputs too and stays for the life of a network.
    Yields the bytes that rest.
    """
    resting: list[_Resting] = []
    try:
        for block in blocks_of(backbone):
            resting.append(_Resting(block, torch.device(device)))
        yield sum(each.size for each in resting)
    finally:
        for each in resting:
            each.end()


@contextmanager
def visiting(backbone: Backbone, device: torch.device) -> Iterator[Backbone]:
    """A backbone that was opened on the processor, as one that computes on `device`, inside the block.

    Weights of its blocks stay in the processor's memory and come as in `streamed_weights`, so that a network may be
    larger than the device's memory; all else of it is moved there and back.
    """
    home, resting = torch.device("cpu"), list[_Resting]()
    try:
        for block in blocks_of(backbone):
            resting.append(_Resting(block, device))
        yield moved(backbone, device)
    finally:
        for each in resting:
            each.end(home)
        moved(backbone, home)


def moved(held: Any, device: torch.device) -> Any:  # noqa: ANN401 -- whatever a backbone holds
    """A backbone, or a part of one, on a device; networks are moved in place, and what holds them is made anew.

    Levels stay where they are. Contexts, which networks know too, stay the same object.
    """
    if isinstance(held, nn.Module | torch.Tensor):
        return held.to(device)
    if isinstance(held, torch.device):
        return device
    if isinstance(held, dict):
        return {key: moved(value, device) for key, value in held.items()}
    if isinstance(held, tuple):
        return tuple(moved(value, device) for value in held)
    if not is_dataclass(held) or isinstance(held, _STAY) or not held.__dataclass_params__.frozen:
        return held
    parts = {part.name: getattr(held, part.name) for part in fields(held) if part.init}
    changed = {name: moved(value, device) for name, value in parts.items()}
    return replace(held, **{name: value for name, value in changed.items() if value is not parts[name]})


def streamed_bytes(backbone: Backbone) -> tuple[int, int]:
    """Bytes of all weights of a backbone's networks, and of those on the device at once while they are streamed."""
    every = {id(weight): weight.nbytes for network in networks_of(backbone) for weight in network.parameters()}
    blocks = [sum(weight.nbytes for weight in block.parameters()) for block in blocks_of(backbone)]
    whole = sum(every.values())
    return whole, whole - sum(blocks) + max(blocks, default=0)


def store_in_eight_bits(backbone: Backbone) -> None:
    """Weights of blocks are stored as float8 (e4m3) and cast to their own format while their layer computes.

    A quarter of the memory of fp32, half of bfloat16. Lossy: a weight keeps 3 bits behind its leading one, so pictures
    change. Norms, layers outside of blocks and text encoders stay as they are: T5 casts features to the format of its
    weights. For the whole life of the backbone.
    """
    # Methods stand on this module, and are listed and checked where no network is.
    from diffusers.hooks.layerwise_casting import apply_layerwise_casting

    for block in blocks_of(backbone, words=False):
        apply_layerwise_casting(block, EIGHT_BITS, first_weight(block).dtype)


def networks_of(backbone: Backbone) -> list[nn.Module]:
    """The networks of a backbone: that denoises, those beside it, the autoencoder, and text encoders."""
    found: list[nn.Module] = []
    for value in vars(backbone).values():
        held = value.values() if isinstance(value, dict) else [value]
        found += [each for each in held if isinstance(each, nn.Module)]
        found += _inside(value)
    return list({id(each): each for each in found}.values())


def _inside(value: Any) -> list[nn.Module]:  # noqa: ANN401 -- whatever a backbone holds
    second = getattr(value, "second", None)
    parts = [value, *([second] if second is not None else [])]
    networks = [getattr(each, "network", None) for each in parts]
    return [each for each in networks if isinstance(each, nn.Module)] if not isinstance(value, nn.Module) else []


def blocks_of(backbone: Backbone, *, words: bool = True) -> Iterator[nn.Module]:
    """The largest blocks of all networks but autoencoders, which are small, each once. words: of text encoders too."""
    vae = getattr(backbone, "vae", None)
    autoencoder = getattr(backbone, "autoencoder", None)
    left_out = vae, autoencoder.network if isinstance(autoencoder, VideoAutoencoder) else None
    for network in networks_of(backbone):
        if network not in left_out and (words or not type(network).__module__.startswith("transformers")):
            yield from _outermost(network)


def _outermost(module: nn.Module) -> Iterator[nn.Module]:
    for name, child in module.named_children():
        if name in BLOCKS:
            yield from child if isinstance(child, nn.ModuleList) else [child]
        else:
            yield from _outermost(child)


class _Resting:
    """The weights of one block in the processor's memory, and the hooks that bring them."""

    def __init__(self, block: nn.Module, device: torch.device) -> None:
        self.device = device
        weights = list(block.parameters())
        self.held = [weight.data.to("cpu") for weight in weights]
        if device.type == "cuda":
            self.held = [each.pin_memory() for each in self.held]
        self.size = sum(each.nbytes for each in self.held)
        self.block = block
        self._rest(block)
        self.hooks = (
            block.register_forward_pre_hook(self._bring, prepend=True),
            block.register_forward_hook(self._rest, always_call=True),
        )

    def end(self, device: torch.device | None = None) -> None:
        """Brings the weights for good, to where they were used or to a device."""
        for hook in self.hooks:
            hook.remove()
        self.device = device or self.device
        self._bring(self.block)

    def _bring(self, block: nn.Module, *_given: object) -> None:
        for weight, held in zip(block.parameters(), self.held, strict=True):
            weight.data = held.to(self.device, non_blocking=True)

    def _rest(self, block: nn.Module, *_given: object) -> None:
        for weight, held in zip(block.parameters(), self.held, strict=True):
            weight.data = torch.empty(0, dtype=held.dtype, device=self.device)
