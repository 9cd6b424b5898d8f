"""The CLIP pair and its contrastive loss. arXiv:2103.00020, section 2.3."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
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

from recast.conditions.image import normalized, squared
from recast.data.renders import NUM_CAPTIONS, RenderedDataset
from recast.engine.config import BatchShard, Loss
from recast.engine.rng import device_of, row_rng
from recast.training.tokenizer import token_ids
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


def contrastive(
    pools: Sequence[RenderedDataset],
    tokenizer: CLIPTokenizer,
    *,
    side: int = 96,
    batch: int = 128,
    seed: int = 0,
    heads_weight: float = 1.0,
) -> Loss[Pair]:
    """Symmetric cross-entropy between pictures and captions of a batch.

    It compares all rows with each other, so a batch cannot be divided.
    Differs: where a pair has heads, cross-entropy of the attributes is added. Captions omit most attributes, and with
    so few pictures the embeddings would hardly represent the subject's colour.
    """
    labels = [_labels(pool) for pool in pools]
    ids = [ids_of(tokenizer, pool.captions) for pool in pools]
    chances = np.array([len(pool) for pool in pools], dtype=float)
    chances /= chances.sum()

    def drawn(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        which = int(rng.choice(len(pools), p=chances))
        clip = int(rng.integers(len(pools[which])))
        shown = _picture(rng, pools[which], clip, side)
        return shown, ids[which][clip, rng.integers(NUM_CAPTIONS)], labels[which][clip]

    def loss(network: Pair, share: BatchShard) -> Tensor:
        step = share.undivided()
        rows = [drawn(row_rng(seed, step, row)) for row in range(batch)]
        pictures, words, truth = (torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True))
        words, device = words[:, : _longest(words, tokenizer)], device_of(network)
        seen, read = network(normalized(pictures).to(device), words.to(device))
        alike = network.logit_scale.clamp(max=4.0).exp() * seen @ read.T
        own = torch.arange(batch, device=device)
        pairs = (F.cross_entropy(alike, own) + F.cross_entropy(alike.T, own)) / 2
        return pairs + heads_weight * _misread(network, seen, truth.to(device))

    return loss


def _misread(network: Pair, seen: Float[Tensor, "b d"], truth: Int[Tensor, "b attributes"]) -> Tensor:
    guesses = [head(seen * seen.shape[1] ** 0.5).float() for head in network.heads.values()]
    return sum((F.cross_entropy(guess, truth[:, k]) for k, guess in enumerate(guesses)), start=torch.zeros(()).to(seen))


def ids_of(tokenizer: CLIPTokenizer, captions: Sequence[Sequence[str]]) -> np.ndarray:
    """Captions of clips as token ids, [n captions places]."""
    flat = [caption for ways in captions for caption in ways]
    return rearrange(token_ids(tokenizer, flat).numpy(), "(n k) m -> n k m", n=len(captions))


def _longest(words: Tensor, tokenizer: CLIPTokenizer) -> int:
    # Padding is the end token too: one column of it must stay, further columns are equal for all captions.
    return int((words != tokenizer.eos_token_id).sum(1).max()) + 1


def _labels(pool: RenderedDataset) -> np.ndarray:
    """Class index of each attribute, [n attributes]."""
    rows = [{**scene, **scene["subjects"][0]} for scene in pool.scenes]
    return np.array([[table.index(row[name]) for name, table in ATTRIBUTES.items()] for row in rows])


def _picture(rng: np.random.Generator, pool: RenderedDataset, clip: int, side: int) -> np.ndarray:
    picture = squared(pool.frames[clip, rng.integers(pool.frames.shape[1])], side)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), float(rng.uniform(0.3, 1.5)))
    return rearrange(picture, "h w c -> c h w")
