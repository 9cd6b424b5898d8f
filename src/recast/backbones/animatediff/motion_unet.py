"""An image UNet whose frames see each other by motion modules: what families on AnimateDiff's layout share."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel

from recast.backbones.animatediff.motion import image_unet
from recast.backbones.branches import temporal_layout
from recast.backbones.stable_diffusion import ControlledUNet
from recast.denoising import Branch
from recast.diffusion.schedule import Schedule, schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.networks.placement import first_weight
from recast.networks.temporal import TemporalContext


@dataclass(frozen=True, eq=False, kw_only=True)
class MotionUNet(ControlledUNet):
    """An image UNet with motion modules in it, and ControlNets where it has some. arXiv:2307.04725.

    motion: switches the modules on; with them off it is the image model, bit for bit. positions: of frames in them.
    image_schedule: the levels that the image model was trained on, where they are not those of the motion modules;
    images are then asked for at its timesteps. More than `max_frames` frames raise ShapeError.
    """

    motion: TemporalContext
    positions: int
    image_schedule: Schedule | None = None

    @property
    def max_frames(self) -> int:
        """The most frames that the motion modules have positions for."""
        return self.positions

    @property
    def has_temporal_layers(self) -> bool:
        """Motion modules."""
        return True

    def _temporal(self, branches: Mapping[int, Branch], frames: int) -> tuple[bool, ...]:
        return tuple(branch.temporal and frames > 1 for branch in branches.values())

    def _over_time(self, frames: int, temporal: Sequence[bool]) -> AbstractContextManager[None]:
        return self.motion.on(temporal_layout(frames, temporal, self.max_frames, first_weight(self.unet).device))

    def _timestep(self, sigma: float, *, temporal: bool) -> float:
        levels = self.schedule if temporal or self.image_schedule is None else self.image_schedule
        return levels.sigma_to_timestep(sigma)


def image_schedule_of(model: ModelFolder, levels: Schedule) -> Schedule | None:
    """The image model's own levels, where the folder has them. Raises WeightsError for another prediction."""
    if not model.has("image_scheduler"):
        return None
    own = schedule(model.scheduler_config("image_scheduler"))
    if own.prediction is not levels.prediction:
        wrong = f"image_scheduler is of {own.prediction} and scheduler of {levels.prediction}"
        raise WeightsError(f"{wrong}; one network has one prediction: take those of its own model; {model.path}")
    return own


def image_unet_of(model: ModelFolder) -> UNet2DConditionModel:
    """The image UNet of a folder, without the motion modules that it may be saved with.

    Raises WeightsError for one that reads or gives more than latents, and where it is missing or damaged.
    """
    whole = json_object(model.component("unet") / "config.json").get("_class_name") == UNetMotionModel.__name__
    unet = image_unet(model.network("unet", UNetMotionModel)) if whole else model.network("unet", UNet2DConditionModel)
    channels = unet.config.in_channels, unet.config.out_channels
    if channels != (4, 4):
        wrong = f"the unet reads {channels[0]} channels and gives {channels[1]}; motion modules go with 4 to 4"
        raise WeightsError(f"{wrong}; {model.path}")
    return unet
