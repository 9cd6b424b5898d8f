"""The trained generator of Gen-1: space-time UNet, and projection of content embeddings to tokens."""

from dataclasses import dataclass
from pathlib import Path

from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.embeddings import ImageProjection
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Bool, Float
from torch import Tensor, nn

from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.metadata import json_object
from recast.networks.spacetime import SpaceTimeUNet, inflate, widen
from recast.networks.storage import loaded

STRUCTURE_CHANNELS = 8
"""Four of structure latents and four of the embedding of t_s (arXiv:2302.03011, section 3.3)."""


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Size of a generator; the defaults are Stable Diffusion 1.5 with four content tokens.

    widths: channels at each resolution; attention: resolutions with attention; layers: residual blocks per resolution,
    one number or one each; heads: of attention; groups: of group norms. tokens: number of content tokens, `token_width`
    wide, made of an embedding of `content_width`. Differs: the paper uses the embedding as only token, but attention
    over one token is constant, so its queries and keys get no gradient. max_frames: longest clip.
    fused: attention by PyTorch's kernel, which is faster on GPUs; its backward pass is several times slower on CPUs.
    """

    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    attention: tuple[bool, ...] = (True, True, True, False)
    layers: int | tuple[int, ...] = 2
    heads: int = 8
    groups: int = 32
    tokens: int = 4
    token_width: int = 768
    content_width: int = 768
    max_frames: int = 32
    fused: bool = True

    def unet(self) -> UNet2DConditionModel:
        """The image UNet, randomly initialised."""
        down = tuple("CrossAttnDownBlock2D" if there else "DownBlock2D" for there in self.attention)
        up = tuple("CrossAttnUpBlock2D" if there else "UpBlock2D" for there in reversed(self.attention))
        return UNet2DConditionModel(
            in_channels=4,
            out_channels=4,
            block_out_channels=self.widths,
            down_block_types=down,
            up_block_types=up,
            layers_per_block=self.layers,
            cross_attention_dim=self.token_width,
            attention_head_dim=self.heads,
            norm_num_groups=self.groups,
        )

    def projection(self) -> ImageProjection:
        """The projection of content to tokens, randomly initialised."""
        return ImageProjection(self.content_width, self.token_width, self.tokens)


class Generator(nn.Module):
    """The space-time UNet and the projection of content embeddings to its tokens, which are trained together."""

    def __init__(self, net: SpaceTimeUNet, projection: ImageProjection, *, fused: bool = True) -> None:
        super().__init__()
        self.net = net
        if not fused:
            self.net.unet.set_attn_processor(AttnProcessor())
        self.projection = projection

    @classmethod
    def new(cls, layers: UNetConfig, *, structure: bool = True) -> "Generator":
        """A randomly initialised generator; temporal layers and structure channels start without effect."""
        net = inflate(layers.unet(), STRUCTURE_CHANNELS if structure else 0, layers.max_frames)
        return cls(net, layers.projection(), fused=layers.fused)

    @classmethod
    def grown(cls, model: ModelFolder, layers: UNetConfig, *, structure: bool = True) -> "Generator":
        """A generator initialised from a model folder; its predictions start the same.

        Missing parts are added: temporal layers to an image UNet (Stable Diffusion's layout), structure channels, and a
        randomly initialised projection as `layers` describes it. All other sizes are the folder's, not `layers`'.
        Raises WeightsError as ModelFolder does, and for a UNet with structure channels where `structure` is False.
        """
        if model.has("temporal"):
            net = loaded(model)
        else:
            net = inflate(model.network("unet", UNet2DConditionModel), max_frames=layers.max_frames)
        wanted = STRUCTURE_CHANNELS if structure else 0
        if structure and not net.extra_channels:
            widen(net.unet, STRUCTURE_CHANNELS)
        elif net.extra_channels != wanted:
            wrong = f"the unet reads {net.extra_channels} channels of structure, and this stage tells {wanted}"
            raise WeightsError(f"{wrong}; start from a folder of the stage before; {model.path}")
        return cls(net, _projection(model, net, layers), fused=layers.fused).train()

    def forward(
        self,
        noisy: Float[Tensor, "b t c y x"],
        timestep: Float[Tensor, " b"],
        embedding: Float[Tensor, "b d"],
        conditioned: Bool[Tensor, " b"],
        *,
        video: bool,
    ) -> Float[Tensor, "b t 4 y x"]:
        """The predicted velocity; rows where `conditioned` is False get null content, tokens of zeros.

        noisy: four channels of latents, followed by the eight structure channels where the generator has them.
        """
        tokens = self.projection(embedding) * conditioned[:, None, None]
        return self.net(noisy, timestep, tokens, video)


def _projection(model: ModelFolder, net: SpaceTimeUNet, layers: UNetConfig) -> ImageProjection:
    if model.has("projection"):
        return model.network("projection", ImageProjection)
    return ImageProjection(_content_width(model, layers), net.token_width, layers.tokens)


def _content_width(model: ModelFolder, layers: UNetConfig) -> int:
    if not model.has("image_encoder"):
        return layers.content_width
    return int(json_object(Path(model.path) / "image_encoder" / "config.json").get("projection_dim", 512))
