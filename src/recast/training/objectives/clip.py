"""The contrastive loss of the CLIP pair. arXiv:2103.00020, section 2.3."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from transformers import CLIPTokenizer

from recast.conditions.image import normalized, squared
from recast.data.renders import NUM_CAPTIONS, RenderedDataset
from recast.engine.config import BatchShard, Loss
from recast.engine.rng import device_of, row_rng
from recast.networks.clip_pair import ATTRIBUTES, Pair
from recast.training.tokenizer import token_ids


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
