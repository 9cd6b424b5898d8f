"""Pictures as CLIP embeddings the way that Stable Diffusion image variations was trained on them."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.conditions.image import ImageEncoder
from recast.types import Frames, Maps


@dataclass(frozen=True, eq=False)
class SqueezedImageEncoder(ImageEncoder):
    """Whole pictures squeezed to a square by bicubic interpolation, without antialiasing.

    The model's card says that training resized them so and that other filters change its pictures much. Colours are
    normalised by the processor's mean and deviation; its resizing is not used.
    """

    def pixels(self, frames: Frames) -> Float[Tensor, "t 3 side side"]:
        """Frames as the network sees them, on the processor."""
        return self._shrunk(frames.cpu() / 255)

    def _shrunk(self, pictures: Maps) -> Float[Tensor, "t 3 side side"]:
        side = int(self.network.config.image_size)  # pyrefly: ignore[bad-argument-type]
        mean, deviation = (
            pictures.new_tensor(each).reshape(1, 3, 1, 1)
            for each in (self.processor.image_mean, self.processor.image_std)
        )
        return (F.interpolate(pictures, (side, side), mode="bicubic", align_corners=False) - mean) / deviation
