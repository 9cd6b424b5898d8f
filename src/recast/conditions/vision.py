"""Networks that look at pictures and know no words, such as DINOv2, by the folder in which transformers saves them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recast.errors import known
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.types import Frames

AT_ONCE = 16
"""Frames in one pass, which bounds memory and changes no result."""
Loaded = tuple[nn.Module, Any]
"""A network and its image processor."""


@dataclass(frozen=True, eq=False)
class VisionEncoder:
    """A vision transformer: the token of the whole picture, and those of its patches. name: what results call it."""

    name: str
    network: nn.Module
    processor: Any
    device: torch.device

    @classmethod
    def opened(cls, folder: str, device: torch.device) -> "VisionEncoder":
        """That in a folder. Raises WeightsError for a damaged one, RequestError for a kind that is not known."""
        path = Path(folder).expanduser().resolve()
        kind = known("kind of vision network", str(json_object(path / "config.json").get("model_type")), KINDS)
        network, processor = KINDS[kind](ModelFolder.around(path), path.name)
        return cls(path.name, network.to(device), processor, device)

    def embeddings(self, frames: Frames) -> Float[Tensor, "t d"]:
        """The token of the whole picture of each frame, on the CPU."""
        return self._tokens(frames)[:, 0]

    def places(self, frames: Frames) -> Float[Tensor, "t n d"]:
        """The tokens of the patches of each frame from the last layer, on the CPU."""
        registers = int(getattr(self.network.config, "num_register_tokens", 0))
        return self._tokens(frames)[:, 1 + registers :]

    @torch.no_grad()
    def _tokens(self, frames: Frames) -> Float[Tensor, "t n d"]:
        found = []
        for part in frames.cpu().split(AT_ONCE):
            pixels = self.processor(list(part.numpy()), input_data_format="channels_first")["pixel_values"]
            shown = torch.from_numpy(np.stack(pixels)).float().to(self.device)
            found.append(self.network(shown).last_hidden_state.float().cpu())
        return torch.cat(found)


def is_vision(folder: str) -> bool:
    """Whether the folder holds a network of KINDS."""
    config = Path(folder).expanduser() / "config.json"
    return config.is_file() and json_object(config).get("model_type") in KINDS


def _dinov2(folder: ModelFolder, name: str) -> Loaded:
    from transformers import Dinov2Model
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

    return folder.network(name, Dinov2Model), folder.part(name, BitImageProcessorPil)


def _dinov2_with_registers(folder: ModelFolder, name: str) -> Loaded:
    from transformers import Dinov2WithRegistersModel
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

    return folder.network(name, Dinov2WithRegistersModel), folder.part(name, BitImageProcessorPil)


def _vit(folder: ModelFolder, name: str) -> Loaded:
    from transformers import ViTModel
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    return folder.network(name, ViTModel), folder.part(name, ViTImageProcessorPil)


KINDS: dict[str, Callable[[ModelFolder, str], Loaded]] = {
    "dinov2": _dinov2,
    "dinov2_with_registers": _dinov2_with_registers,
    "vit": _vit,
}
"""What opens a network, by the model_type of its config.json; `vit` is what DINO was published as."""
