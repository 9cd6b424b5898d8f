"""Networks that need less memory on their device: weights that come block by block, or are stored in eight bits."""

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.hooks.layerwise_casting import apply_layerwise_casting
from torch import nn

from recast.backbones.backbone import Backbone
from recast.backbones.video_autoencoder import VideoAutoencoder
from recast.networks.placement import first_weight

EIGHT_BITS = torch.float8_e4m3fn
BLOCKS = ("down_blocks", "mid_block", "up_blocks", "blocks", "vace_blocks", "transformer_blocks", "block", "layers")
"""Where networks of diffusers and transformers hold most of their weights."""


def stream_weights(backbone: Backbone, device: str | torch.device) -> int:
    """Weights of blocks rest in the memory of the processor, and are on the device while their block computes.

    Answers are the same, bit for bit; each evaluation moves the weights once. For the whole life of the backbone, which
    cannot be trained or given adapters from then on. Differs from diffusers' group offloading, which needs accelerate
    and moves inputs too. Returns the bytes that rest.
    """
    return sum(_Resting(block, torch.device(device)).size for block in _blocks(backbone))


def store_in_eight_bits(backbone: Backbone) -> None:
    """Weights of blocks are stored as float8 (e4m3) and cast to their own format while their layer computes.

    A quarter of the memory of fp32, half of bfloat16. Lossy: a weight keeps 3 bits behind its leading one, so pictures
    change. Norms, layers outside of blocks and text encoders stay as they are: T5 casts features to the format of its
    weights. For the whole life of the backbone.
    """
    for block in _blocks(backbone, words=False):
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


def _blocks(backbone: Backbone, *, words: bool = True) -> Iterator[nn.Module]:
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
        self.size = sum(each.numel() * each.element_size() for each in self.held)
        self._rest(block)
        block.register_forward_pre_hook(self._bring, prepend=True)
        block.register_forward_hook(self._rest, always_call=True)

    def _bring(self, block: nn.Module, *_given: object) -> None:
        for weight, held in zip(block.parameters(), self.held, strict=True):
            weight.data = held.to(self.device, non_blocking=True)

    def _rest(self, block: nn.Module, *_given: object) -> None:
        for weight, held in zip(block.parameters(), self.held, strict=True):
            weight.data = torch.empty(0, dtype=held.dtype, device=self.device)
