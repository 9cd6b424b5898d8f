"""The CLIP pair: pictures and captions in one space. arXiv:2103.00020, section 2.3."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from recast.training.loop import Loss, Share
from recast.training.pool import NUM_CAPTIONS, Pool
from recast.training.words import PLACES
from recast.world.words import COLOURS, ENVIRONMENTS, KINDS, LOOKS, TIMES, WEATHERS

WIDTH = 128
SIDE = 96
HEADS_WEIGHT = 0.3


ATTRIBUTES = {
    "environment": tuple(ENVIRONMENTS),
    "time": tuple(TIMES),
    "weather": tuple(WEATHERS),
    "look": tuple(LOOKS),
    "kind": tuple(KINDS),
    "colour": tuple(COLOURS),
}
"""What is known of every rendered picture; kind and colour are the main subject's."""


class Pair(nn.Module):
    """An image encoder and a text encoder, and how sharply they tell pairs apart.

    heads: read the attributes from an image embedding; only training uses them.
    """

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        tower = {
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_attention_heads": 4,
            "projection_dim": WIDTH,
            "hidden_act": "gelu",
        }
        seen = CLIPVisionConfig(image_size=SIDE, patch_size=16, num_hidden_layers=4, **tower)
        read = CLIPTextConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=PLACES,
            num_hidden_layers=3,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **tower,
        )
        self.image = CLIPVisionModelWithProjection(seen)
        self.text = CLIPTextModelWithProjection(read)
        # PyTorch's fused attention is several times slower backwards than plain products for such short sequences.
        self.image.set_attn_implementation("eager")
        self.text.set_attn_implementation("eager")
        self.log_sharpness = nn.Parameter(torch.tensor(2.66))
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTH, len(table)) for name, table in ATTRIBUTES.items()})


def contrastive(pools: list[Pool], tokenizer: CLIPTokenizer, *, seed: int = 0, batch: int = 128) -> Loss[Pair]:
    """Each picture must find its caption among the others of the batch, and each caption its picture.

    Differs: the attributes must also be readable from the image embedding. Captions leave most of them out, and CLIP
    learns from what captions say; with so few pictures it would hardly see the subject's colour.
    """
    labels = [_labels(pool) for pool in pools]
    ids = [token_ids(tokenizer, pool) for pool in pools]
    chances = np.array([len(pool) for pool in pools], dtype=float)
    chances /= chances.sum()

    def loss(network: Pair, share: Share) -> Tensor:
        step = share.undivided()
        rng = np.random.default_rng([seed, 3, step])
        picked = [
            (int(which), int(rng.integers(len(pools[which])))) for which in rng.choice(len(pools), batch, p=chances)
        ]
        pixels = normalized(torch.from_numpy(np.stack([_picture(rng, pools[which], i) for which, i in picked])))
        words = torch.from_numpy(np.stack([ids[which][i, rng.integers(NUM_CAPTIONS)] for which, i in picked]))
        truth = torch.from_numpy(np.stack([labels[which][i] for which, i in picked]))
        seen = F.normalize(network.image(pixels).image_embeds.float(), dim=-1)
        read = F.normalize(network.text(words[:, : _longest(words, tokenizer)]).text_embeds.float(), dim=-1)
        alike = network.log_sharpness.clamp(max=4.0).exp() * seen @ read.T
        own = torch.arange(batch)
        pairs = (F.cross_entropy(alike, own) + F.cross_entropy(alike.T, own)) / 2
        guesses = [head(seen * WIDTH**0.5).float() for head in network.heads.values()]
        return pairs + HEADS_WEIGHT * sum(F.cross_entropy(g, truth[:, k]) for k, g in enumerate(guesses))

    return loss


def normalized(pictures: Tensor) -> Tensor:
    """uint8 [b 3 h w] as the encoder reads them: -1..1."""
    return pictures.float() / 127.5 - 1


def squared(picture: np.ndarray) -> np.ndarray:
    """[h w 3] padded with grey to a square of SIDE: all of a picture of any aspect counts."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def token_ids(tokenizer: CLIPTokenizer, pool: Pool) -> np.ndarray:
    """The captions of a pool as token ids, [n captions places]."""
    flat = [caption for captions in pool.captions for caption in captions]
    read = tokenizer(flat, padding="max_length", truncation=True, max_length=PLACES, return_tensors="np")["input_ids"]
    return rearrange(read, "(n k) m -> n k m", k=NUM_CAPTIONS)


def _longest(words: Tensor, tokenizer: CLIPTokenizer) -> int:
    # Padding is the end token too: one of them must stay, the rest is the same for all.
    return int((words != tokenizer.eos_token_id).sum(1).max()) + 1


def _labels(pool: Pool) -> np.ndarray:
    """[n attributes], the place of each word in its table."""
    rows = [{**scene, **scene["subjects"][0]} for scene in pool.scenes]
    return np.array([[table.index(row[name]) for name, table in ATTRIBUTES.items()] for row in rows])


def _picture(rng: np.random.Generator, pool: Pool, clip: int) -> np.ndarray:
    picture = squared(pool.frames[clip, rng.integers(pool.frames.shape[1])])
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), float(rng.uniform(0.3, 1.5)))
    return rearrange(picture, "h w c -> c h w")


@torch.no_grad()
def embedded(image: nn.Module, frames: np.ndarray) -> Float[Tensor, "t d"]:
    """Frames [t h w 3] as content embeddings of length 1."""
    squares = rearrange(np.stack([squared(frame) for frame in frames]), "t h w c -> t c h w")
    return F.normalize(image(normalized(torch.from_numpy(squares))).image_embeds.float(), dim=-1)
