"""FID's network by a folder: `config.json` and the published weights as `model.safetensors`."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.networks.inception import CLASSES, SIDE, FIDInception
from recast.types import Frames

KIND = "FIDInception"
"""What `_class_name` of config.json says."""
AT_ONCE = 16
"""Frames in one pass, which bounds memory and changes no result."""


@dataclass(frozen=True, eq=False)
class InceptionNetwork:
    """Features and classes of frames as FID and the inception score have them. name: what results call it."""

    name: str
    network: FIDInception
    device: torch.device

    @classmethod
    def opened(cls, folder: str, device: torch.device) -> "InceptionNetwork":
        """That in a folder. Raises WeightsError where it is missing, damaged, or of another network."""
        path = Path(folder).expanduser().resolve()
        network = ModelFolder.around(path).network(path.name, FIDInception)
        return cls(path.name, network.to(device), device)

    @torch.no_grad()
    def features(self, frames: Frames) -> Float[Tensor, "t 2048"]:
        """The mean over places of the last block, on the CPU."""
        found = [self.network(_seen(part.to(self.device))).cpu() for part in frames.split(AT_ONCE)]
        return torch.cat(found)

    @torch.no_grad()
    def classes(self, features: Float[Tensor, "t 2048"]) -> Float[Tensor, f"t {CLASSES}"]:
        """Probabilities of the classes, on the CPU."""
        return self.network.logits(features.to(self.device)).softmax(dim=1).cpu()


def _seen(frames: Frames) -> Float[Tensor, "t 3 side side"]:
    """-1..1, at the network's size: bilinear, without antialiasing, as pytorch-fid does it."""
    scaled = frames.float() / 255
    return 2 * F.interpolate(scaled, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1


def is_inception(folder: str) -> bool:
    """Whether the folder says that it holds FID's network."""
    config = Path(folder).expanduser() / "config.json"
    return config.is_file() and json_object(config).get("_class_name") == KIND
