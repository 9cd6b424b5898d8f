"""VideoMAE: a network that looks at whole clips, by the folder in which transformers saves it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.types import Frames

KIND, CLASSIFIER = "videomae", "VideoMAEForVideoClassification"


@dataclass(frozen=True, eq=False)
class VideoNetwork:
    """VideoMAE (arXiv:2203.12602), of frames evenly spaced over a clip. name: what results call it.

    classifies: whether it was trained further to tell classes, such as those of Kinetics.
    """

    name: str
    network: nn.Module
    processor: Any
    device: torch.device
    classifies: bool

    @classmethod
    def opened(cls, folder: str, device: torch.device) -> "VideoNetwork":
        """That in a folder. Raises WeightsError where it is missing or damaged."""
        from transformers import VideoMAEForVideoClassification, VideoMAEModel
        from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

        path = Path(folder).expanduser().resolve()
        classifies = CLASSIFIER in (json_object(path / "config.json").get("architectures") or ())
        held = ModelFolder.around(path)
        network = held.network(path.name, VideoMAEForVideoClassification if classifies else VideoMAEModel)
        return cls(path.name, network.to(device), held.part(path.name, VideoMAEImageProcessorPil), device, classifies)

    @torch.no_grad()
    def features(self, frames: Frames) -> Float[Tensor, "1 d"]:
        """The mean of the tokens of a clip, on the CPU; what the classifier reads, where there is one."""
        inner = self.network.videomae if self.classifies else self.network
        pooled = inner(self._pixels(frames)).last_hidden_state.mean(dim=1)
        norm = getattr(self.network, "fc_norm", None)
        return (pooled if norm is None else norm(pooled)).float().cpu()

    @torch.no_grad()
    def classes(self, frames: Frames) -> Float[Tensor, "1 c"] | None:
        """Probabilities of the classes for a clip, on the CPU; None where it tells none."""
        return self.network(self._pixels(frames)).logits.float().softmax(dim=1).cpu() if self.classifies else None

    def _pixels(self, frames: Frames) -> Float[Tensor, "1 seen 3 side side"]:
        count = int(self.network.config.num_frames)
        picks = torch.linspace(0, len(frames) - 1, count).round().long()
        pixels = self.processor(list(frames[picks].cpu().numpy()), input_data_format="channels_first")["pixel_values"]
        return torch.from_numpy(np.asarray(pixels)).float().reshape(1, count, 3, *np.shape(pixels)[-2:]).to(self.device)


def is_video_network(folder: str) -> bool:
    """Whether the folder holds a VideoMAE."""
    config = Path(folder).expanduser() / "config.json"
    return config.is_file() and json_object(config).get("model_type") == KIND
