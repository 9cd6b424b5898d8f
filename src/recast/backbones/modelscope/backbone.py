"""ModelScope's text-to-video network as a backbone: an image UNet whose frames see each other, conditioned on words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_3d_condition import UNet3DConditionModel
from jaxtyping import Float
from torch import Tensor

from recast.backbones.modelscope.network import taken_apart
from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone
from recast.backbones.stable_diffusion.image_unet import MAX_FRAMES
from recast.backbones.stable_diffusion.inflated import InflatedStableDiffusion
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.denoising import Branch
from recast.diffusion.schedule import schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.networks.temporal import BatchLayout, TemporalContext
from recast.types import Condition


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelScopeBackbone(InflatedStableDiffusion):
    """An image UNet with convolutions and transformers over time in it, that was trained so. arXiv:2308.06571.

    Images are clips of one frame, as in its training: its layers over time then see that frame alone. They know no
    positions, so clips may be of any length; longer ones than it was trained on are guesses.
    """

    @property
    def short_side(self) -> int:
        """What recast.json says; the network's own configuration is that of the smaller model it was trained from."""
        return self.metadata.short_side

    def _answered(
        self,
        inputs: Float[Tensor, "t channels y x"],
        sigma: float,
        condition: Condition,
        branches: Mapping[int, Branch],
    ) -> Float[Tensor, "branches t c y x"]:
        over_time = dict(zip(branches, self._temporal(branches, len(inputs)), strict=True))
        answers: dict[int, Tensor] = {}
        for temporal in sorted(set(over_time.values())):
            asked = {number: branches[number] for number, on in over_time.items() if on is temporal}
            with self.motion.on(self._layout(len(inputs), temporal=temporal)):
                made = StableDiffusionBackbone._answered(self, inputs, sigma, condition, asked)
            answers.update(zip(asked, made, strict=True))
        return torch.stack([answers[number] for number in branches])

    def _layout(self, frames: int, *, temporal: bool) -> BatchLayout | None:
        return BatchLayout(frames if temporal else 1)


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> ModelScopeBackbone:
    """The backbone in a folder of TextToVideoSDPipeline.

    dtype: of the networks; latents stay fp32. Raises WeightsError for a part that is missing, unsafe or damaged, and
    for a network that reads more than latents.
    """
    whole = model.network("unet", UNet3DConditionModel)
    channels = whole.config.in_channels, whole.config.out_channels
    if channels != (4, 4):
        wrong = f"the unet reads {channels[0]} channels and gives {channels[1]}; modelscope opens 4 to 4"
        raise WeightsError(f"{wrong}; {model.path}")
    unet, motion = taken_apart(whole)
    return ModelScopeBackbone(**parts_around(unet, motion, model, device, dtype))


def parts_around(
    unet: UNet2DConditionModel, motion: TemporalContext, model: ModelFolder, device: str, dtype: torch.dtype
) -> dict[str, Any]:
    """The fields of a backbone whose layers over time stand in `unet`: with the folder's autoencoder and its words."""
    vae = model.network("vae", AutoencoderKL)
    placed(unet, device, dtype)
    placed(vae, device, dtype)
    return {
        "unet": unet,
        "motion": motion,
        "positions": MAX_FRAMES,
        "vae": vae,
        "prompt": PromptEncoder.opened(model, device, dtype),
        "schedule": schedule(model.scheduler_config()),
        "metadata": model.metadata,
    }
