"""Where hooks may look in a diffusers UNet: its attention layers and the blocks that give features."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from diffusers.models.attention import BasicTransformerBlock, TemporalBasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.transformers.transformer_temporal import TransformerSpatioTemporalModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_spatio_temporal_condition import UNetSpatioTemporalConditionModel
from torch import nn

from recast.networks.hooks import SiteKind
from recast.networks.temporal import FOLLOWER

HookedNetwork = UNet2DConditionModel | UNetSpatioTemporalConditionModel
"""An image network, with layers over time behind its own or none; or one whose blocks hold layers of both."""
_TRANSFORMERS = (Transformer2DModel, TransformerSpatioTemporalModel)
_WHOLE_BLOCK = re.compile(r"(down_blocks|up_blocks)\.\d+|mid_block")
_OVER_TIME = f".{FOLLOWER}"
"""How the path of a layer over time ends."""


@dataclass(frozen=True, eq=False)
class AttentionSite:
    """An attention layer. holder: path of the transformer whose input has the grid."""

    path: str
    kind: SiteKind
    layer: Attention
    holder: str


@dataclass(frozen=True, eq=False)
class FeatureSite:
    """A block whose output is features of images."""

    path: str
    kind: SiteKind
    module: nn.Module


def attention_sites(unet: HookedNetwork) -> Iterator[AttentionSite]:
    """Every attention layer of the network's transformers, in the order of its modules."""
    for holder, transformer in grid_holders(unet):
        for name, block in transformer.named_modules(prefix=holder):
            # A layer over time lies inside the spatial transformer that it follows, and is a holder of its own.
            inside = name.startswith(f"{holder}.{FOLLOWER}.")
            if isinstance(block, BasicTransformerBlock) and not inside:
                yield from _of_block(name, block, holder, temporal=holder.endswith(_OVER_TIME))
            elif isinstance(block, TemporalBasicTransformerBlock):
                # What its places are told of content, they are told of the first frame's: that is no site.
                yield AttentionSite(f"{name}.attn1", SiteKind.TEMPORAL, block.attn1, holder)


def grid_holders(unet: HookedNetwork) -> Iterator[tuple[str, nn.Module]]:
    """The spatial transformers and the layers over time, by path."""
    modules = unet.named_modules()
    # The test of a path is written out: as a function it would be the one that is called most often of all.
    return (
        (path, module) for path, module in modules if isinstance(module, _TRANSFORMERS) or path.endswith(_OVER_TIME)
    )


def feature_sites(unet: HookedNetwork) -> Iterator[FeatureSite]:
    """Every block that gives features, see SiteKind."""
    for path, module in unet.named_modules():
        if isinstance(module, ResnetBlock2D):
            yield FeatureSite(f"{path}.conv2", SiteKind.RESIDUAL, module.conv2)
            yield FeatureSite(path, SiteKind.RESNET, module)
        elif isinstance(module, _TRANSFORMERS):
            yield FeatureSite(path, SiteKind.TRANSFORMER, module)
        elif _WHOLE_BLOCK.fullmatch(path):
            yield FeatureSite(path, SiteKind.BLOCK, module)


def _of_block(path: str, block: BasicTransformerBlock, holder: str, *, temporal: bool) -> Iterator[AttentionSite]:
    itself = {"attn1": not block.only_cross_attention, "attn2": block.attn2 is None or block.double_self_attention}
    for name, among_themselves in itself.items():
        layer = getattr(block, name)
        if layer is not None:
            spatial = SiteKind.SELF if among_themselves else SiteKind.CROSS
            yield AttentionSite(f"{path}.{name}", SiteKind.TEMPORAL if temporal else spatial, layer, holder)
