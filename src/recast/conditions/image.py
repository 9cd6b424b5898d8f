"""Pictures as CLIP image embeddings, the content representation of Gen-1 (arXiv:2302.03011, section 3.3)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from recast.errors import MediaError
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.types import Embedding, Frames, Maps
from recast.video import isolated_pictures

Picture = UInt8[Tensor, "3 h w"]


@dataclass(frozen=True, eq=False)
class ImageEncoder:
    """Pictures to projected CLIP embeddings, not normalised.

    network: predicts `image_embeds` [b d]. processor: its own resizing and normalisation, PIL based.
    keep_all: whether a picture that is not square is padded to a square with the colour that normalises to zero; else
    it is centre-cropped, as CLIP was trained.
    """

    network: nn.Module
    processor: Any
    device: torch.device
    keep_all: bool = True

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device, *, keep_all: bool = True) -> "ImageEncoder":
        """The image encoder of a model. Raises WeightsError where the folder has none, or a damaged one."""
        from transformers import CLIPVisionModelWithProjection
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

        network = placed(folder.network("image_encoder", CLIPVisionModelWithProjection), device)
        return cls(network, folder.part("feature_extractor", CLIPImageProcessorPil), device, keep_all)

    def __call__(self, text: str, _seed: int = 0, /) -> Embedding:
        """The embedding of the picture file at path `text`. Raises MediaError for a file that is no picture."""
        return self.embeddings(picture(text)[None])[0]

    @torch.no_grad()
    def embeddings(self, frames: Frames) -> Float[Tensor, "t d"]:
        """One embedding per frame, on the CPU."""
        return self._answered(frames).image_embeds.float().cpu()

    @torch.no_grad()
    def places(self, frames: Frames) -> Float[Tensor, "t n d"]:
        """Features of the patches of each frame from the last layer, on the CPU."""
        return self._answered(frames).last_hidden_state[:, 1:].float().cpu()

    @torch.no_grad()
    def hidden(self, pixels: Float[Tensor, "t 3 side side"]) -> Float[Tensor, "t n d"]:
        """Features of the class token and the patches from the last layer but one, on the CPU."""
        states = self.network(pixels.to(self.device), output_hidden_states=True).hidden_states
        return states[-2].float().cpu()

    def seen(self, pictures: Maps) -> tuple[Float[Tensor, "t d"], Float[Tensor, "t n d"]]:
        """Normed embeddings and patches' features of pictures 0..1 of any size, on the device; lets gradients through.

        Where `pixels` uses the processor of the folder, this resizes by torch's antialiased bicubic filter.
        """
        answered = self.network(self._shrunk(pictures.to(self.device)))
        return F.normalize(answered.image_embeds, dim=-1), answered.last_hidden_state[:, 1:]

    def _shrunk(self, pictures: Maps) -> Float[Tensor, "t 3 side side"]:
        rows, columns = pictures.shape[-2:]
        mean, deviation = (
            pictures.new_tensor(each).reshape(1, 3, 1, 1)
            for each in (self.processor.image_mean, self.processor.image_std)
        )
        centred = (pictures - mean) / deviation
        if self.keep_all:
            high, wide = max(0, columns - rows), max(0, rows - columns)
            square = F.pad(centred, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        else:
            short = min(rows, columns)
            top, left = (rows - short) // 2, (columns - short) // 2
            square = centred[..., top : top + short, left : left + short]
        side = int(self.network.config.image_size)  # pyrefly: ignore[bad-argument-type, missing-attribute]
        return F.interpolate(square, (side, side), mode="bicubic", antialias=True)

    def pixels(self, frames: Frames) -> Float[Tensor, "t 3 side side"]:
        """Frames as the network sees them."""
        shown = self._padded(frames.cpu()) if self.keep_all else frames.cpu()
        pixels = self.processor(list(shown.numpy()), input_data_format="channels_first")["pixel_values"]
        return torch.from_numpy(np.stack(pixels)).float()

    def _answered(self, frames: Frames) -> Any:  # noqa: ANN401 -- transformers' own type
        return self.network(self.pixels(frames).to(self.device))

    def _padded(self, frames: Frames) -> UInt8[Tensor, "t 3 side side"]:
        height, width = frames.shape[-2:]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        colour = (255 * torch.tensor(self.processor.image_mean)).round().to(torch.uint8)
        square = rearrange(colour, "c -> c 1 1").repeat(len(frames), 1, side, side)
        square[..., top : top + height, left : left + width] = frames
        return square


def picture(path: str) -> Picture:
    """The picture in a file as RGB, rotated by its EXIF orientation, transparency composited on white.

    Raises MediaError where the file is missing, truncated or no picture.
    """
    from PIL import Image

    if not Path(path).is_file():
        raise MediaError(f"no picture at {path!r}; check the name")
    try:
        upright = Image.fromarray(isolated_pictures.picture(Path(path)))
    except MediaError as fault:
        raise MediaError(f"no picture can be read from {path!r} ({fault}); save it again as PNG or JPEG") from fault
    ground = Image.new("RGBA", upright.size, "white")
    flat = np.asarray(Image.alpha_composite(ground, upright).convert("RGB"))
    return rearrange(torch.from_numpy(flat.copy()), "h w c -> c h w")


def normalized(pictures: Tensor) -> Tensor:
    """uint8 [b 3 h w] scaled to -1..1, the image encoder's range."""
    return pictures.float() / 127.5 - 1


def squared(picture: np.ndarray, side: int) -> np.ndarray:
    """[h w 3] padded with grey to a square and resized to `side` pixels.

    Bicubic by Pillow, as the image processors of model folders do it, so that training and use encode the same pixels.
    """
    from PIL import Image

    height, width = picture.shape[:2]
    longer = max(height, width)
    square = np.full((longer, longer, 3), 128, np.uint8)
    top, left = (longer - height) // 2, (longer - width) // 2
    square[top : top + height, left : left + width] = picture
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC))


@torch.no_grad()
def embedded(image: nn.Module, frames: np.ndarray) -> Float[Tensor, "t d"]:
    """Frames [t h w 3] as content embeddings of length 1."""
    side = int(image.config.image_size)  # pyrefly: ignore[bad-argument-type, missing-attribute] -- a CLIP image encoder
    squares = rearrange(np.stack([squared(frame, side) for frame in frames]), "t h w c -> t c h w")
    return F.normalize(image(normalized(torch.from_numpy(squares))).image_embeds.float(), dim=-1)
