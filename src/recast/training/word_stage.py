"""Training stage of an image network that reads words and depth."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextModelWithProjection

from recast.data.word_cache import WordCache
from recast.diffusion.schedule import schedule
from recast.engine.config import Loss
from recast.errors import RequestError
from recast.networks.clip_pair import CLIPConfig
from recast.networks.generator import UNetConfig
from recast.networks.spacetime import widen
from recast.networks.text_unet import DEPTH_CHANNELS, take_weights
from recast.training.objectives.batches import Batches
from recast.training.objectives.words import WordData, word_velocity
from recast.training.stages import SD_LEVELS, Inputs, Size
from recast.training.tokenizer import SHIPPED


@dataclass(frozen=True, kw_only=True)
class WordStage:
    """An image network conditioned on words and depth, as Stable Diffusion 2-depth is. arXiv:2112.10752.

    reader: the pair whose text encoder it reads. levels: noise schedule, as the config of a diffusers scheduler.
    size: nominal size of the data.
    """

    layers: UNetConfig
    reader: CLIPConfig
    batches: Batches
    size: Size
    levels: Mapping[str, Any] = field(default_factory=lambda: SD_LEVELS)
    seed: int = 0
    component: str = "unet"

    @property
    def batch(self) -> Mapping[str, int]:
        """Images per step."""
        return {"images": self.batches.images}

    def network(self, inputs: Inputs) -> UNet2DConditionModel:
        """Initialised from the image network of the start, as far as weights fit, or randomly."""
        unet = self.layers.unet()
        widen(unet, DEPTH_CHANNELS)
        unet.register_to_config(sample_size=min(self.size) // 8)
        if inputs.start is not None:
            take_weights(unet, inputs.start.network("unet", UNet2DConditionModel))
        return self.prepared(unet)

    def prepared(self, network: UNet2DConditionModel) -> UNet2DConditionModel:
        """The network with all of its weights trained."""
        if not self.layers.fused:
            network.set_attn_processor(AttnProcessor())
        return network.train()

    def loss(self, inputs: Inputs) -> Loss[UNet2DConditionModel]:
        """Velocity loss with the stage's noise schedule. Raises RequestError where there are no captioned pictures."""
        if inputs.word_data is None:
            raise RequestError("this stage learns from captioned pictures in the folder of its run")
        return word_velocity(inputs.word_data, schedule(self.levels), self.batches, seed=self.seed)

    def least(self) -> tuple["WordStage", Inputs]:
        """Batch of one picture."""
        tokenizer = Inputs(folder=SHIPPED).tokenizer(places=self.reader.places, pieces=0)
        with torch.device("meta"):
            text = CLIPTextModelWithProjection(self.reader.text_config(tokenizer)).requires_grad_(False)
        ids, (columns, rows) = (
            torch.zeros(1, 1, self.reader.places, dtype=torch.long),
            (side // 8 for side in self.size),
        )
        cache = WordCache(torch.zeros(1, 1, 4, rows, columns), torch.zeros(1, 1, 1, rows, columns), [[""]])
        data = WordData([cache], [ids], text, ids[0, 0])
        return replace(self, batches=replace(self.batches, images=1)), Inputs(word_data=data)
