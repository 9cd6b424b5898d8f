"""The prior: from words to a picture's embedding. DALL-E 2, arXiv:2204.06125, section 2.2 and equation 2."""

import math

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.transformers.prior_transformer import PriorTransformer
from jaxtyping import Float, Int
from torch import Tensor, nn

from recast.content.prior import PriorLevels
from recast.training.clip import WIDTH
from recast.training.loop import Loss, Share
from recast.training.words import PLACES

DROPPED = 0.1
"""Share of the captions that are left empty, so that guidance has something to push away from."""


def prior() -> PriorTransformer:
    """`pocket`'s prior: four layers of causal attention over words, level and noisy embedding."""
    network = PriorTransformer(
        num_attention_heads=4, attention_head_dim=32, num_layers=4, embedding_dim=WIDTH, num_embeddings=PLACES
    )
    # Plain products: PyTorch's fused attention is several times slower backwards on a CPU.
    network.set_attn_processor(AttnProcessor())
    return network


def unclip(
    text: nn.Module,
    captions: Int[Tensor, "n k m"],
    empty: Int[Tensor, " m"],
    embeddings: Float[Tensor, "n f d"],
    *,
    seed: int = 0,
    batch: int = 96,
) -> Loss[PriorTransformer]:
    """Squared error of the clean embedding, guessed from a noisy one and a caption of the same clip.

    captions: token ids, several ways of saying it for each clip; embeddings: of its frames, of length 1.
    """
    signal = PriorLevels().signal().float()

    def loss(network: PriorTransformer, share: Share) -> Tensor:
        step = share.undivided()
        rng = torch.Generator().manual_seed(seed * 1_000_003 + step)
        clips = torch.randint(len(captions), (batch,), generator=rng)
        wanted = embeddings[clips, torch.randint(embeddings.shape[1], (batch,), generator=rng)].float()
        wanted = (wanted - network.clip_mean) / network.clip_std
        words = captions[clips, torch.randint(captions.shape[1], (batch,), generator=rng)]
        words = torch.where((torch.rand(batch, generator=rng) < DROPPED)[:, None], empty, words)
        level = torch.randint(len(signal), (batch,), generator=rng)
        kept = signal[level][:, None]
        noisy = kept.sqrt() * wanted + (1 - kept).sqrt() * torch.randn(wanted.shape, generator=rng)
        with torch.no_grad():
            told = text(words)
        # The padding is the end token, and so is the end itself: the first of them counts.
        mask = (words == empty[-1]).cumsum(1) <= 1
        guess = network(
            noisy, level, told.text_embeds.float(), told.last_hidden_state.float(), mask
        ).predicted_image_embedding
        return (guess.float() - wanted).square().mean()

    return loss


def standardize(network: PriorTransformer, embeddings: Float[Tensor, "n f d"]) -> None:
    """Lets the prior work on embeddings of mean 0 and deviation 1, and give back ones as they are."""
    flat = embeddings.float().flatten(0, 1)
    network.clip_mean.data.copy_(flat.mean(0, keepdim=True))
    # One deviation for all entries: their directions keep their proportions.
    network.clip_std.data.fill_(float(flat.std(0).square().mean().sqrt()) or math.ulp(1.0))
    network.clip_mean.requires_grad_(False)
    network.clip_std.requires_grad_(False)
