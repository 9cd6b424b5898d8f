"""The prior, from text to CLIP image embeddings, and its loss. DALL-E 2, arXiv:2204.06125, section 2.2, equation 2."""

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

from recast.conditions.prior import PriorSchedule
from recast.data.examples import ExampleSource
from recast.engine.config import BatchShard, Loss
from recast.engine.rng import device_of, normal_noise, row_rng
from recast.training.tokenizer import token_ids

DROPPED = 0.1
"""Probability of an empty caption, for classifier-free guidance."""


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """Size of a prior; the defaults are those of a published prior for CLIP ViT-L/14.

    width: of an embedding. places: tokens of a caption. fused: attention by PyTorch's kernel, as in `UNetConfig`.
    """

    width: int = 768
    places: int = 77
    layers: int = 20
    heads: int = 32
    head_width: int = 64
    fused: bool = True

    def network(self) -> PriorTransformer:
        """The prior, randomly initialised: causal attention over text tokens, timestep and noisy embedding."""
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
    """Captions, with embeddings of the frames that they describe."""

    def __len__(self) -> int:
        """Number of clips."""
        ...

    def __getitem__(self, index: int) -> tuple[Int[Tensor, "k m"], Float[Tensor, "f d"]]:
        """Token ids of a clip's captions [k m], and embeddings of its frames [f d]."""
        ...


@dataclass(frozen=True, eq=False)
class CaptionPairs:
    """Pairs in memory. captions: token ids; embeddings: of the frames, of norm 1."""

    captions: Int[Tensor, "n k m"]
    embeddings: Float[Tensor, "n f d"]

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.captions[index], self.embeddings[index]


@dataclass(frozen=True, eq=False)
class Captioned:
    """Pairs of a source of examples; an example without a caption has the empty one."""

    source: ExampleSource
    tokenizer: CLIPTokenizer

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        example = self.source.example(index)
        return token_ids(self.tokenizer, [example.caption or ""]), example.embeddings


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of embeddings; one scalar deviation, so that directions are preserved."""

    mean: Float[Tensor, " d"]
    deviation: float

    @classmethod
    def of(cls, pairs: Pairs, most: int = 4096) -> "Spread":
        """Estimated on at most `most` clips, evenly spaced."""
        rows = torch.cat([pairs[i][1].float() for i in range(0, len(pairs), max(1, len(pairs) // most))])
        return cls(rows.mean(0), float(rows.std(0).square().mean().sqrt()) or math.ulp(1.0))


@dataclass(frozen=True, eq=False)
class PriorData:
    """Training data of a prior: pairs, the frozen text encoder, and token ids of the empty caption."""

    pairs: Pairs
    text: nn.Module
    empty: Int[Tensor, " m"]


def unclip(data: PriorData, spread: Spread, *, batch: int = 96, seed: int = 0) -> Loss[PriorTransformer]:
    """Squared error of the clean embedding, predicted from a noisy one and a caption of the same clip."""
    alpha_bars = PriorSchedule().alpha_bars().float()

    def loss(network: PriorTransformer, share: BatchShard) -> Tensor:
        drawn = [_drawn(row_rng(seed, share.step, row), data, len(alpha_bars)) for row in share.rows(batch)]
        device = device_of(network)
        clean, words, noise, level = (torch.stack(column).to(device) for column in zip(*drawn, strict=True))
        clean = (clean - spread.mean.to(device)) / spread.deviation
        kept = alpha_bars.to(device)[level][:, None]
        with torch.no_grad():
            text = data.text.to(device)(words)
        # Padding is the end token too: only the first end token is attended to.
        mask = (words == data.empty[-1].to(device)).cumsum(1) <= 1
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        answer = network(noisy, level, text.text_embeds.float(), text.last_hidden_state.float(), mask)
        return (answer.predicted_image_embedding.float() - clean).square().mean()

    return loss


def standardize(network: PriorTransformer, spread: Spread) -> None:
    """Sets the prior's mean and standard deviation, so that it is trained on standardised embeddings."""
    network.clip_mean.data.copy_(spread.mean[None])
    network.clip_std.data.fill_(spread.deviation)
    network.clip_mean.requires_grad_(False)
    network.clip_std.requires_grad_(False)


def _drawn(rng: np.random.Generator, data: PriorData, levels: int) -> tuple[Tensor, ...]:
    captions, embeddings = data.pairs[int(rng.integers(len(data.pairs)))]
    clean = embeddings[int(rng.integers(len(embeddings)))].float()
    words = captions[int(rng.integers(len(captions)))]
    if rng.random() < DROPPED:
        words = data.empty
    return clean, words, normal_noise(rng, clean.shape), torch.tensor(int(rng.integers(levels)))
