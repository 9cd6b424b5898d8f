"""The CLIP pair: an image encoder and a text encoder with one space of embeddings. arXiv:2103.00020, section 2.3."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from recast.world.words import COLOURS, ENVIRONMENTS, KINDS, LOOKS, TIMES, WEATHERS

ATTRIBUTES = {
    "environment": tuple(ENVIRONMENTS),
    "time": tuple(TIMES),
    "weather": tuple(WEATHERS),
    "look": tuple(LOOKS),
    "kind": tuple(KINDS),
    "colour": tuple(COLOURS),
}
"""Attributes of rendered pictures, with their classes; kind and colour are the first subject's."""


@dataclass(frozen=True, kw_only=True)
class CLIPConfig:
    """Size of a pair; the defaults are CLIP ViT-L/14.

    width: of the embeddings. side, patch: of a picture, in px. image, text: width, layers and heads of each encoder.
    places: tokens of a caption. vocabulary: least number of token ids. heads: whether linear heads predict the
    attributes of worlds from image embeddings (`contrastive`). fused: attention by PyTorch's kernel (`UNetConfig`).
    """

    width: int = 768
    side: int = 224
    patch: int = 14
    image: tuple[int, int, int] = (1024, 24, 16)
    text: tuple[int, int, int] = (768, 12, 12)
    places: int = 77
    vocabulary: int = 49_408
    heads: bool = False
    fused: bool = True

    def network(self, tokenizer: CLIPTokenizer) -> "Pair":
        """The pair, randomly initialised, for the tokenizer's vocabulary."""
        return Pair(self, tokenizer)

    def image_config(self) -> CLIPVisionConfig:
        """Configuration of the image encoder."""
        return CLIPVisionConfig(image_size=self.side, patch_size=self.patch, **self._tower(*self.image))

    def text_config(self, tokenizer: CLIPTokenizer) -> CLIPTextConfig:
        """Configuration of the text encoder, for a tokenizer's vocabulary."""
        return CLIPTextConfig(
            vocab_size=max(len(tokenizer), self.vocabulary),
            max_position_embeddings=self.places,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **self._tower(*self.text),
        )

    def _tower(self, width: int, layers: int, heads: int) -> dict:
        return {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "projection_dim": self.width,
            "hidden_act": "gelu",
        }


class Pair(nn.Module):
    """An image encoder, a text encoder and the logit scale of the contrastive loss.

    heads: predict attributes from image embeddings, only in training.
    """

    def __init__(self, towers: CLIPConfig, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.image = CLIPVisionModelWithProjection(towers.image_config())
        self.text = CLIPTextModelWithProjection(towers.text_config(tokenizer))
        if not towers.fused:
            self.image.set_attn_implementation("eager")
            self.text.set_attn_implementation("eager")
        self.logit_scale = nn.Parameter(torch.tensor(2.66))
        self.heads = attribute_heads(towers.width) if towers.heads else nn.ModuleDict()

    def forward(
        self, pixels: Float[Tensor, "b 3 h w"], words: Int[Tensor, "b m"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"]]:
        """Embeddings of pictures and of captions, of norm 1."""
        seen, read = self.image(pixels).image_embeds, self.text(words).text_embeds
        return F.normalize(seen.float(), dim=-1), F.normalize(read.float(), dim=-1)


def attribute_heads(width: int) -> nn.ModuleDict:
    """A linear layer for each attribute, which reads it from an image embedding; with random weights."""
    return nn.ModuleDict({name: nn.Linear(width, len(table)) for name, table in ATTRIBUTES.items()})


@torch.no_grad()
def resize_positions(image: CLIPVisionModelWithProjection, side: int) -> None:
    """Lets the encoder take pictures of `side` px: its position embeddings are interpolated bicubically, in place."""
    embeddings = image.vision_model.embeddings
    before = math.isqrt(embeddings.position_embedding.num_embeddings - 1)
    after = side // embeddings.patch_embedding.kernel_size[0]
    if before == after:
        return
    first, grid = embeddings.position_embedding.weight.split([1, before * before])
    grid = rearrange(grid, "(y x) d -> 1 d y x", y=before)
    grown = rearrange(F.interpolate(grid, size=(after, after), mode="bicubic"), "1 d y x -> (y x) d")
    image.config.image_size = embeddings.image_size = side
    embeddings.num_patches, embeddings.num_positions = after * after, after * after + 1
    embeddings.position_embedding = nn.Embedding.from_pretrained(torch.cat([first, grown]), freeze=False)
    embeddings.register_buffer("position_ids", torch.arange(embeddings.num_positions)[None], persistent=False)
