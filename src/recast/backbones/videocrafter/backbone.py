"""VideoCrafter as a backbone: an image UNet whose frames see each other, conditioned on words and on the rate."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from diffusers.models.embeddings import TimestepEmbedding
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor

from recast.backbones import modelscope
from recast.backbones.modelscope import ModelScopeBackbone
from recast.backbones.videocrafter.levels import ScaledSchedule, scaled_schedule
from recast.denoising import Branch
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.types import Condition

USUAL_FPS = 28.0
"""Frames a second that the network is told where recast.json says none, as in the authors' script of VideoCrafter2."""


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoCrafterBackbone(ModelScopeBackbone):
    """ModelScope's network, whose timestep's embedding has that of the rate added to it. arXiv:2310.19512.

    The rate is that of recast.json. Differs: walks are DDIM's without fresh noise, where the authors' script draws some
    (eta of 1).
    """

    schedule: ScaledSchedule

    def _answered(
        self,
        inputs: Float[Tensor, "t channels y x"],
        sigma: float,
        condition: Condition,
        branches: Mapping[int, Branch],
    ) -> Float[Tensor, "branches t c y x"]:
        return super()._answered(inputs * self.schedule.seen(sigma), sigma, condition, branches)

    def _conditioning(
        self, tokens: Float[Tensor, "rows n d"], images: Float[Tensor, "rows channels y x"]
    ) -> Mapping[str, Any]:
        given = super()._conditioning(tokens, images)
        if self.unet.class_embedding is None:
            return given
        return {**given, "class_labels": tokens.new_full((len(tokens),), self.metadata.fps or USUAL_FPS)}


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> VideoCrafterBackbone:
    """The backbone in a folder that `recast models import` made of a checkpoint: ModelScope's, and fps_embedding.

    A network without the latter is not told the rate. dtype: of the networks; latents stay fp32. Raises WeightsError
    for a part that is missing, unsafe or damaged.
    """
    plain = modelscope.opened(model, device=device, dtype=dtype)
    if model.has("fps_embedding"):
        rate = model.network("fps_embedding", TimestepEmbedding)
        placed(rate, device, dtype)
        told_the_rate(plain.unet, rate)
    own = {each.name: getattr(plain, each.name) for each in fields(plain) if each.init}
    return VideoCrafterBackbone(**own | {"schedule": scaled_schedule(model.scheduler_config())})


def told_the_rate(unet: UNet2DConditionModel, rate: TimestepEmbedding) -> None:
    """Has the network add an embedding of numbers, given as class labels, to the timestep's."""
    unet.class_embedding = rate
    unet.register_to_config(class_embed_type="timestep")
