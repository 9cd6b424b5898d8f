"""Stable Diffusion with layers over time, so that it can learn from a clip how things move."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn

from recast.backbones.branches import temporal_layout
from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone
from recast.backbones.stable_diffusion.instructed import InstructedStableDiffusion
from recast.denoising import Branch
from recast.errors import BackboneError
from recast.networks.placement import first_weight
from recast.networks.shift_restricted import ShiftRestrictedAttention
from recast.networks.simda import TemporalAdapter, add_spatial_adapters
from recast.networks.temporal import TemporalContext, TemporalTransformer
from recast.networks.temporal_shift import with_shifted_channels
from recast.types import Condition

Inflate = Callable[[UNet2DConditionModel, TemporalContext, int], None]
"""Puts layers over time into an image network, which a context switches on. int: the most frames of a clip."""


@dataclass(frozen=True, eq=False, kw_only=True)
class InflatedStableDiffusion(StableDiffusionBackbone):
    """An image UNet with temporal self-attention behind each of its spatial transformers. arXiv:2212.11565.

    Convolutions stay those of images, which is what pseudo-3D ones (1 x 3 x 3) are. New layers change nothing until
    they are trained. Differs: they follow the transformer, where Tune-A-Video's stand in it, and know positions.
    motion: switches the layers on. positions: the most frames that they tell apart.
    """

    motion: TemporalContext
    positions: int

    @property
    def has_temporal_layers(self) -> bool:
        """Self-attention over time."""
        return True

    @property
    def max_frames(self) -> int:
        """The most frames that the layers over time have positions for."""
        return self.positions

    def _temporal(self, branches: Mapping[int, Branch], frames: int) -> tuple[bool, ...]:
        return tuple(branch.temporal and frames > 1 for branch in branches.values())

    def _answered(
        self,
        inputs: Float[Tensor, "t channels y x"],
        sigma: float,
        condition: Condition,
        branches: Mapping[int, Branch],
    ) -> Float[Tensor, "branches t c y x"]:
        temporal = self._temporal(branches, len(inputs))
        layout = temporal_layout(len(inputs), temporal, self.max_frames, first_weight(self.unet).device)
        with self.motion.on(layout):
            return super()._answered(inputs, sigma, condition, branches)


def _transformer(spatial: Transformer2DModel, frames: int) -> nn.Module:
    blocks = spatial.transformer_blocks
    channels, heads = spatial.norm.num_channels, blocks[0].attn1.heads
    return TemporalTransformer(channels, heads=heads, layers=len(blocks), max_frames=frames)


def _adapters(spatial: Transformer2DModel, _frames: int) -> nn.Module:
    add_spatial_adapters(spatial)
    return TemporalAdapter(spatial.norm.num_channels)


def _shift_restricted(spatial: Transformer2DModel, _frames: int) -> nn.Module:
    return ShiftRestrictedAttention(spatial.norm.num_channels, spatial.transformer_blocks[0].attn1.heads)


def _behind_transformers(make: Callable[[Transformer2DModel, int], nn.Module]) -> Inflate:
    def inflate(unet: UNet2DConditionModel, motion: TemporalContext, frames: int) -> None:
        like = first_weight(unet)
        for spatial in [module for module in unet.modules() if isinstance(module, Transformer2DModel)]:
            temporal = make(spatial, frames)
            motion.follow(spatial, temporal.to(like.device, like.dtype).train(unet.training))

    return inflate


def _shifted(unet: UNet2DConditionModel, motion: TemporalContext, _frames: int) -> None:
    with_shifted_channels(unet, motion)


TRANSFORMER = "transformer"
LAYERS: dict[str, Inflate] = {
    TRANSFORMER: _behind_transformers(_transformer),
    "simda": _behind_transformers(_adapters),
    "shift-restricted": _behind_transformers(_shift_restricted),
    "shifted-channels": _shifted,
}
"""What puts layers over time into an image UNet, by name: behind its transformers, or into its convolutions.

simda: with adapters in the transformers. shifted-channels: has no weights, and changes a clip at once.
"""


def inflated(backbone: StableDiffusionBackbone, frames: int, layers: str = TRANSFORMER) -> InflatedStableDiffusion:
    """The backbone with layers over time for clips of at most so many frames, new ones from the global random stream.

    layers: a name in LAYERS. Its UNet becomes part of the new one, and has the layers from then on. Raises
    BackboneError for a network that reads the picture to edit.
    """
    if isinstance(backbone, InstructedStableDiffusion):
        raise BackboneError("a network that reads the picture to edit gets no layers over time; take Stable Diffusion")
    motion, unet = TemporalContext(), backbone.unet
    LAYERS[layers](unet, motion, frames)
    own = {field.name: getattr(backbone, field.name) for field in fields(StableDiffusionBackbone)}
    return InflatedStableDiffusion(**own, motion=motion, positions=frames)
