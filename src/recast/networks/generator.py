"""The generator of Gen-1 as it is trained: the space-time network and the projection of content to its tokens."""

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
"""Four of structure latents and four that say t_s."""


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """How large a generator is; as written, Stable Diffusion 1.5 with four tokens of content.

    widths: channels at each resolution; attention: where its layers are; layers: residual blocks at all, or at each;
    heads: of each attention; groups: of each norm. tokens: that a content embedding of `content_width` becomes, each
    `token_width` wide; the paper takes the embedding as the only token, but then attention has nothing to choose from,
    and its queries and keys get no gradient. max_frames: the longest clip.
    fused: attention by PyTorch's kernel, which is faster on GPUs and, backwards, several times slower on processors.
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
        """The image network, with random weights."""
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
        """Content to tokens, with random weights."""
        return ImageProjection(self.content_width, self.token_width, self.tokens)


class Generator(nn.Module):
    """What is trained together: the network, and the projection of content embeddings to its tokens."""

    def __init__(self, net: SpaceTimeUNet, projection: ImageProjection, *, fused: bool = True) -> None:
        super().__init__()
        self.net = net
        if not fused:
            self.net.unet.set_attn_processor(AttnProcessor())
        self.projection = projection

    @classmethod
    def new(cls, layers: UNetConfig, *, structure: bool = True) -> "Generator":
        """One with random weights; layers over time and structure channels change nothing yet."""
        net = inflate(layers.unet(), STRUCTURE_CHANNELS if structure else 0, layers.max_frames)
        return cls(net, layers.projection(), fused=layers.fused)

    @classmethod
    def grown(cls, model: ModelFolder, layers: UNetConfig, *, structure: bool = True) -> "Generator":
        """One that starts as the network of a folder, and answers as it does.

        An image network (Stable Diffusion's layout) gets layers over time; one without structure gets its channels; a
        folder without a projection gets `layers`' own, with random weights. The folder's sizes count, not `layers`'.
        Raises WeightsError as ModelFolder does, and for a network that is told structure where the stage has none.
        """
        if model.has("temporal"):
            net = loaded(model)
        else:
            net = inflate(model.network("unet", UNet2DConditionModel), max_frames=layers.max_frames)
        wanted = STRUCTURE_CHANNELS if structure else 0
        if structure and not net.extra_channels:
            widen(net, STRUCTURE_CHANNELS)
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
        """The velocity; where `told` is False there is no content, all tokens zero.

        noisy: four channels of latents, and behind them structure's eight where it is told.
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
