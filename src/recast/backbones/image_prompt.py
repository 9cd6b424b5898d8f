"""Pictures as tokens beside those of words: IP-Adapters in a folder's ip_adapter/, as published. arXiv:2308.06721."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from diffusers.models.embeddings import ImageProjection, IPAdapterPlusImageProjection
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from recast.conditions.blend import blended
from recast.conditions.image import ImageEncoder, picture
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.networks.image_prompt import read_pictures
from recast.networks.placement import first_weight
from recast.types import Frames, Tokens

PROJECTION, ATTENTION = "image_proj.", "ip_adapter."


@dataclass(frozen=True, eq=False)
class ImagePrompt:
    """What an IP-Adapter's layers in the UNet read: pictures by a CLIP image encoder and a trained projection.

    patches: whether the projection reads features of all patches, as "plus" does, else one embedding. count: tokens.
    """

    encoder: ImageEncoder
    projection: nn.Module
    patches: bool
    count: int

    @classmethod
    def put_in(cls, model: ModelFolder, unet: UNet2DConditionModel, device: str) -> "ImagePrompt | None":
        """The IP-Adapter of a folder, its layers put into the UNet; None where the folder has none.

        Raises WeightsError for one of another network, of faces, damaged, or without its image encoder.
        """
        if not model.has("ip_adapter"):
            return None
        path = model.component("ip_adapter")
        weights = load_file(min(path.glob("*.safetensors")))
        projection = _projection(unet, _under(weights, PROJECTION), path.name)
        patches = isinstance(projection, IPAdapterPlusImageProjection)
        if patches:
            count = weights[f"{PROJECTION}latents"].shape[1]
        else:
            count = len(weights[f"{PROJECTION}proj.bias"]) // len(weights[f"{PROJECTION}norm.bias"])
        read_pictures(unet, _under(weights, ATTENTION), count=count, scale=model.metadata.image_scale)
        encoder = ImageEncoder.opened(model, torch.device(device), keep_all=False)
        return cls(encoder, projection.eval().to(device).requires_grad_(False), patches, count)

    def of_files(self, paths: Sequence[tuple[str, float]]) -> Tokens:
        """The tokens of the pictures in files, blended by weight; of none, those of no picture.

        Raises MediaError for a file that is no picture, RequestError for weights that cannot be.
        """
        parts = [(self._features(picture(path)[None])[0].flatten(), weight) for path, weight in paths]
        return self._projected(blended(parts)) if parts else self.null()

    def of_frames(self, frames: Frames) -> Tokens:
        """The tokens of what frames show, all of them alike."""
        return self._projected(blended([(each.flatten(), 1.0) for each in self._features(frames)]))

    @torch.no_grad()
    def null(self) -> Tokens:
        """The tokens of no picture, as in training: of an embedding of zeros, or of the features of a grey one."""
        side, width = self.encoder.network.config.image_size, self.encoder.network.config.projection_dim
        grey = torch.zeros(1, 3, side, side)
        return self._projected(self.encoder.hidden(grey)[0] if self.patches else torch.zeros(width))

    def _features(self, frames: Frames) -> Float[Tensor, "t ..."]:
        if self.patches:
            return self.encoder.hidden(self.encoder.pixels(frames))
        return self.encoder.embeddings(frames)

    @torch.no_grad()
    def _projected(self, features: Tensor) -> Tokens:
        width = self.encoder.network.config.hidden_size
        shaped = rearrange(features.flatten(), "(n d) -> 1 n d", d=width) if self.patches else features[None]
        return self.projection(shaped.to(first_weight(self.projection)))[0].float()


def _under(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def _projection(unet: UNet2DConditionModel, weights: dict[str, Tensor], name: str) -> nn.Module:
    """The projection of an IP-Adapter, or of a "plus" one."""
    if not ("proj.weight" in weights or "latents" in weights):
        known = "IP-Adapter and IP-Adapter plus"
        raise WeightsError(
            f"{name} projects neither as {known} do; adapters of faces are not opened: take one of these"
        )
    try:
        made = unet._convert_ip_adapter_image_proj_to_diffusers(weights, low_cpu_mem_usage=False)
    except (KeyError, RuntimeError) as fault:
        raise WeightsError(f"{name}: its image_proj cannot be read ({str(fault)[:200]}); get it again") from fault
    assert isinstance(made, ImageProjection | IPAdapterPlusImageProjection)
    return made
