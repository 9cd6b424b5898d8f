"""Training stage of a video network that reads words and further conditions, or of a part of one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModelWithProjection

from recast.data.video_cache import VideoCache
from recast.diffusion.schedule import schedule
from recast.engine.config import Loss
from recast.errors import RequestError
from recast.networks.appearance import appearance_branch
from recast.networks.clip_pair import CLIPConfig
from recast.networks.condition_encoder import ConditionEncoder
from recast.networks.conditioned import APPEARANCE, CLIP, DEPTH, ENCODER, PICTURE, POSE, POSES, ConditionedVideo
from recast.networks.generator import UNetConfig
from recast.networks.pose_encoder import PoseEncoder
from recast.networks.spacetime import SpaceTimeUNet, widen
from recast.networks.text_unet import take_weights
from recast.training.objectives.conditioned import VideoBatches, VideoData, conditioned_velocity
from recast.training.stages import SD_LEVELS, Inputs, Size
from recast.training.tokenizer import SHIPPED
from recast.types import Kind

CHANNELS = {CLIP: 4, DEPTH: 1}
"""Input channels of what stands beside latents as it is."""
LAYERS_OVER_TIME = r"^net\..*\.temporal\."
"""Names of the weights of a network's layers over time."""


@dataclass(frozen=True, kw_only=True)
class VideoStage:
    """A space-time UNet of words, with Gen-1's layers over time, and what it reads besides; or a part of all that.

    reader: the pair whose text encoder it reads. reads: names of conditions: those of `recast.networks.conditioned`,
    and kinds of structure. tokens: of a picture, where one is read. causal: no frame sees a later one. parts: networks
    that it has besides, whether they read anything here or not. trained: a pattern of the names of weights that
    learn; the others are frozen; empty is all. levels: noise schedule, as the config of a diffusers scheduler. size:
    nominal size of the data. temporal_weight: of the loss.
    """

    layers: UNetConfig
    reader: CLIPConfig
    batches: VideoBatches
    size: Size
    reads: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    tokens: int = 4
    causal: bool = False
    trained: str = ""
    temporal_weight: float = 0.0
    levels: Mapping[str, Any] = field(default_factory=lambda: SD_LEVELS)
    seed: int = 0
    component: str = "space_time"

    @property
    def batch(self) -> Mapping[str, int]:
        """Clips per step; images where each is one frame."""
        return {"clips" if self.batches.frames > 1 else "images": self.batches.clips}

    @property
    def kinds(self) -> dict[str, int]:
        """Kinds of maps that an encoder reads, with their channels."""
        return {name: Kind(name).channels for name in self.reads if name in set(Kind) and name != POSE}

    def network(self, inputs: Inputs) -> ConditionedVideo:
        """Initialised from the image network of the start, as far as weights fit, or randomly.

        What is new changes nothing yet: input channels, layers over time, residuals.
        """
        unet, encoder = self.layers.unet(), self._encoder()
        extra = sum(CHANNELS.get(name, 0) for name in self.reads) + (0 if encoder is None else encoder.width)
        if extra:
            widen(unet, extra)
        if inputs.start is not None:
            take_weights(unet, inputs.start.network("unet", UNet2DConditionModel))
        unet.register_to_config(sample_size=min(self.size) // 8)
        parts: dict[str, nn.Module] = {} if encoder is None else {ENCODER: encoder}
        if POSES in self.parts:
            parts[POSES] = PoseEncoder.of(unet)
        if APPEARANCE in self.parts:
            parts[APPEARANCE] = appearance_branch(unet)
        net = SpaceTimeUNet(unet, max_frames=self.layers.max_frames, causal=self.causal)
        return self.prepared(ConditionedVideo(net, parts, fused=self.layers.fused))

    def prepared(self, network: ConditionedVideo) -> ConditionedVideo:
        """The network with the weights frozen that do not learn."""
        for name, weight in network.named_parameters():
            weight.requires_grad_(re.search(self.trained, name) is not None)
        return network.train()

    def loss(self, inputs: Inputs) -> Loss[ConditionedVideo]:
        """Velocity loss with the stage's noise schedule. Raises RequestError for no clips, or too short ones."""
        data = inputs.video_data
        if data is None:
            raise RequestError("this stage learns from captioned clips in the folder of its run")
        longest = min(cache.frames for cache in data.caches)
        if self.batches.frames > longest:
            raise RequestError(
                f"the stage wants clips of {self.batches.frames} frames and those of the run have {longest}"
            )
        return conditioned_velocity(
            data,
            schedule(self.levels),
            self.batches,
            self.reads,
            temporal_weight=self.temporal_weight,
            seed=self.seed,
        )

    def least(self) -> tuple["VideoStage", Inputs]:
        """Batch of one clip."""
        tokenizer = Inputs(folder=SHIPPED).tokenizer(places=self.reader.places, pieces=0)
        with torch.device("meta"):
            text = CLIPTextModelWithProjection(self.reader.text_config(tokenizer)).requires_grad_(False)
        ids = torch.zeros(1, 1, self.reader.places, dtype=torch.long)
        data = VideoData([self._blank()], [ids], text, ids[0, 0])
        return replace(self, batches=replace(self.batches, clips=1)), Inputs(video_data=data)

    def _encoder(self) -> ConditionEncoder | None:
        if ENCODER not in self.parts:
            return None
        pictured = PICTURE in self.reads
        return ConditionEncoder(
            self.kinds,
            max_frames=self.layers.max_frames,
            content_width=self.layers.content_width,
            token_width=self.layers.token_width,
            tokens=self.tokens if pictured else 0,
        )

    def _blank(self) -> VideoCache:
        """A clip of zeros with all that is read."""
        columns, rows = self.size
        frames, own = self.batches.frames, (rows // 8, columns // 8)
        maps: Sequence[str] = [*self.kinds, *(name for name in self.reads if name == POSE)]
        conditions: dict[str, np.ndarray] = {
            name: np.zeros((1, frames, Kind(name).channels, rows, columns), np.uint8) for name in maps
        }
        if DEPTH in self.reads:
            conditions["depth"] = np.zeros((1, frames, 1, rows, columns), np.uint8)
        if CLIP in self.reads:
            conditions[CLIP] = np.zeros((1, frames, 4, *own), np.float16)
        if PICTURE in self.reads:
            conditions[PICTURE] = np.zeros((1, frames, self.layers.content_width), np.float16)
        return VideoCache(np.zeros((1, frames, 4, *own), np.float16), conditions, [[""]])
