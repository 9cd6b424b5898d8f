"""Where hooks may look in a diffusers UNet: its attention layers and the blocks that give features."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import nn

from recast.networks.hooks import SiteKind
from recast.networks.temporal import TemporalTransformer

_WHOLE_BLOCK = re.compile(r"(down_blocks|up_blocks)\.\d+|mid_block")
_TEMPORAL = (AnimateDiffTransformer3D, TemporalTransformer)
_HOLDERS = (*_TEMPORAL, Transformer2DModel)


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


def attention_sites(unet: UNet2DConditionModel) -> Iterator[AttentionSite]:
    """Every attention layer of the network's transformers, in the order of its modules."""
    for holder, transformer in grid_holders(unet):
        for name, block in transformer.named_modules(prefix=holder):
            # A temporal transformer lies inside the spatial one and is a holder of its own.
            inside = isinstance(transformer, Transformer2DModel) and name.startswith(f"{holder}.temporal.")
            if isinstance(block, BasicTransformerBlock) and not inside:
                yield from _of_block(name, block, holder, temporal=isinstance(transformer, _TEMPORAL))


def grid_holders(unet: UNet2DConditionModel) -> Iterator[tuple[str, nn.Module]]:
    """The transformers, spatial and temporal, by path."""
    return ((path, module) for path, module in unet.named_modules() if isinstance(module, _HOLDERS))


def feature_sites(unet: UNet2DConditionModel) -> Iterator[FeatureSite]:
    """Every block that gives features, see SiteKind."""
    for path, module in unet.named_modules():
        if isinstance(module, ResnetBlock2D):
            yield FeatureSite(f"{path}.conv2", SiteKind.RESIDUAL, module.conv2)
            yield FeatureSite(path, SiteKind.RESNET, module)
        elif isinstance(module, Transformer2DModel):
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
