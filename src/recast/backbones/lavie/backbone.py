"""LaVie as a backbone: an image UNet whose frames see each other, conditioned on words."""

from dataclasses import dataclass

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from recast.backbones.lavie.layers import LaVieLayers, block_widths, with_time
from recast.backbones.modelscope import ModelScopeBackbone, parts_around
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.networks.temporal import BatchLayout

TEMPORAL = "temporal"
"""The component of a folder that holds the layers over time."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LaVieBackbone(ModelScopeBackbone):
    """Stable Diffusion 1.4 with attention over time in each transformer block. arXiv:2309.15103.

    With time off, frames are images, as those that it was trained on beside clips: no attention over time, and norms
    of each alone. Distances beyond 32 frames are all alike to it, so clips may be of any length; longer ones than the
    16 frames that it was trained on are guesses.
    """

    def _layout(self, frames: int, *, temporal: bool) -> BatchLayout | None:
        return BatchLayout(frames) if temporal else None


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LaVieBackbone:
    """The backbone in a folder that `recast models import` made of the authors' checkpoint: SD's, and `temporal`.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for layers over time that are not this network's.
    """
    unet, layers = model.network("unet", UNet2DConditionModel), model.network(TEMPORAL, LaVieLayers)
    widths = block_widths(unet)
    if widths != layers.widths:
        wrong = f"{TEMPORAL} has {len(layers.layers)} layers, and the unet {len(widths)} blocks, or of other widths"
        raise WeightsError(f"{wrong}; they are of two networks; {model.path}")
    return LaVieBackbone(**parts_around(unet, with_time(unet, layers), model, device, dtype))
