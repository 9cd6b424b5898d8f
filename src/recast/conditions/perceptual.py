"""LPIPS by a folder: `config.json`, which says the network, and the authors' weights as `model.safetensors`."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recast.model.folder import ModelFolder
from recast.networks.lpips import LPIPS
from recast.types import Frames

LEAST_PX = 32
"""The smallest side of a picture of which all of its features have a place."""


@dataclass(frozen=True, eq=False)
class PerceptualDistance:
    """How far apart two pictures look. name: what results call it."""

    name: str
    network: LPIPS
    device: torch.device

    @classmethod
    def opened(cls, folder: str, device: torch.device) -> "PerceptualDistance":
        """That in a folder. Raises WeightsError where it is missing, damaged, or of another network."""
        path = Path(folder).expanduser().resolve()
        network = ModelFolder.around(path).network(path.name, LPIPS)
        return cls(path.name, network.to(device), device)

    @torch.no_grad()
    def __call__(self, frames: Frames, others: Frames) -> Float[Tensor, " t"]:
        """The distance of each frame to the other one of the same index, on the CPU; sides of at least LEAST_PX."""
        pairs = (
            [each[None].to(self.device).float() / 127.5 - 1 for each in pair]
            for pair in zip(frames, others, strict=True)
        )
        return torch.cat([self.network(*pair).cpu() for pair in pairs])
