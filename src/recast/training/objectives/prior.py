"""The prior: from words to a picture's embedding. DALL-E 2, arXiv:2204.06125, section 2.2 and equation 2."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.transformers.prior_transformer import PriorTransformer
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import CLIPTokenizer

from recast.conditions.prior import PriorLevels
from recast.data.examples import Source
from recast.engine.config import BatchShard, Loss
from recast.engine.rng import device_of, normal_noise, row_rng
from recast.training.tokenizer import token_ids

DROPPED = 0.1
"""Share of the captions that are left empty, so that guidance has something to push away from."""


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """How large a prior is; as written, the one that CLIP ViT-L/14 is published with.

    width: of an embedding. places: tokens of a caption. fused: attention by PyTorch's kernel, as in a generator.
    """

    width: int = 768
    places: int = 77
    layers: int = 20
    heads: int = 32
    head_width: int = 64
    fused: bool = True

    def network(self) -> PriorTransformer:
        """The prior, with random weights: causal attention over words, level and noisy embedding."""
        network = PriorTransformer(
            num_attention_heads=self.heads,
            attention_head_dim=self.head_width,
            num_layers=self.layers,
            embedding_dim=self.width,
            num_embeddings=self.places,
        )
        if not self.fused:
            network.set_attn_processor(AttnProcessor())
        return network


@runtime_checkable
class Pairs(Protocol):
    """Captions and the embeddings of the pictures that they describe."""

    def __len__(self) -> int:
        """How many clips there are."""
        ...

    def __getitem__(self, index: int) -> tuple[Int[Tensor, "k m"], Float[Tensor, "f d"]]:
        """Token ids of a clip's captions, each a way of saying it, and the embeddings of its frames."""
        ...


@dataclass(frozen=True, eq=False)
class CaptionPairs:
    """Pairs in memory. captions: token ids; embeddings: of the frames, of length 1."""

    captions: Int[Tensor, "n k m"]
    embeddings: Float[Tensor, "n f d"]

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.captions[index], self.embeddings[index]


@dataclass(frozen=True, eq=False)
class Captioned:
    """Pairs of a source whose examples have captions; one without is told as having none."""

    source: Source
    tokenizer: CLIPTokenizer

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        example = self.source.example(index)
        return token_ids(self.tokenizer, [example.caption or ""]), example.embeddings


@dataclass(frozen=True)
class Spread:
    """Mean and deviation of embeddings; one deviation for all entries, so that directions keep their proportions."""

    mean: Float[Tensor, " d"]
    deviation: float

    @classmethod
    def of(cls, pairs: Pairs, most: int = 4096) -> "Spread":
        """Measured on at most so many clips, evenly taken."""
        rows = torch.cat([pairs[i][1].float() for i in range(0, len(pairs), max(1, len(pairs) // most))])
        return cls(rows.mean(0), float(rows.std(0).square().mean().sqrt()) or math.ulp(1.0))


@dataclass(frozen=True, eq=False)
class PriorData:
    """What the prior learns from: pairs, the text encoder, which is not trained, and the empty caption's token ids."""

    pairs: Pairs
    text: nn.Module
    empty: Int[Tensor, " m"]


def unclip(heard: PriorData, spread: Spread, *, batch: int = 96, seed: int = 0) -> Loss[PriorTransformer]:
    """Squared error of the clean embedding, guessed from a noisy one and a caption of the same clip."""
    signal = PriorLevels().signal().float()

    def loss(network: PriorTransformer, share: BatchShard) -> Tensor:
        drawn = [_drawn(row_rng(seed, share.step, row), heard, len(signal)) for row in share.rows(batch)]
        device = device_of(network)
        wanted, words, noise, level = (torch.stack(column).to(device) for column in zip(*drawn, strict=True))
        wanted = (wanted - spread.mean.to(device)) / spread.deviation
        kept = signal.to(device)[level][:, None]
        with torch.no_grad():
            told = heard.text.to(device)(words)
        # The padding is the end token, and so is the end itself: the first of them counts.
        mask = (words == heard.empty[-1].to(device)).cumsum(1) <= 1
        noisy = kept.sqrt() * wanted + (1 - kept).sqrt() * noise
        answer = network(noisy, level, told.text_embeds.float(), told.last_hidden_state.float(), mask)
        return (answer.predicted_image_embedding.float() - wanted).square().mean()

    return loss


def standardize(network: PriorTransformer, spread: Spread) -> None:
    """Lets the prior work on embeddings of mean 0 and deviation 1, and give back ones as they are."""
    network.clip_mean.data.copy_(spread.mean[None])
    network.clip_std.data.fill_(spread.deviation)
    network.clip_mean.requires_grad_(False)
    network.clip_std.requires_grad_(False)


def _drawn(rng: np.random.Generator, heard: PriorData, levels: int) -> tuple[Tensor, ...]:
    captions, embeddings = heard.pairs[int(rng.integers(len(heard.pairs)))]
    wanted = embeddings[int(rng.integers(len(embeddings)))].float()
    words = captions[int(rng.integers(len(captions)))]
    if rng.random() < DROPPED:
        words = heard.empty
    return wanted, words, normal_noise(rng, wanted.shape), torch.tensor(int(rng.integers(levels)))
