"""A model folder of tiny random encoders and a prior, in the layout in which CLIP and Karlo are published."""

import json
import string
from pathlib import Path

import torch
from diffusers.models.transformers.prior_transformer import PriorTransformer
from PIL import Image
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from recast.model.folder import ModelFolder

CPU = torch.device("cpu")
WIDTH, PLACES = 16, 12
SPECIAL = ["<|startoftext|>", "<|endoftext|>"]
MERGES = [("s", "n"), ("sn", "o"), ("sno", "w</w>"), ("d", "o"), ("do", "g</w>")]


def vocabulary() -> dict[str, int]:
    letters = list(string.ascii_lowercase + string.digits)
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in MERGES), *SPECIAL]
    return {piece: i for i, piece in enumerate(pieces)}


def write_tokenizer(path: Path) -> None:
    """As Stable Diffusion 1.5 and Karlo have it: a vocabulary and its merges."""
    path.mkdir()
    (path / "vocab.json").write_text(json.dumps(vocabulary()))
    (path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in MERGES) + "\n")
    settings_ = {"model_max_length": PLACES, "bos_token": SPECIAL[0], "eos_token": SPECIAL[1], "pad_token": SPECIAL[1]}
    (path / "tokenizer_config.json").write_text(json.dumps(settings_ | {"tokenizer_class": "CLIPTokenizer"}))


def write_prior(path: Path, *, num_embeddings: int = PLACES) -> None:
    prior = PriorTransformer(2, 8, 2, embedding_dim=WIDTH, num_embeddings=num_embeddings)
    torch.nn.init.normal_(prior.prd_embedding)
    prior.clip_mean.data, prior.clip_std.data = torch.full((1, WIDTH), 0.5), torch.full((1, WIDTH), 2.0)
    prior.save_pretrained(path)


def content_model(path: Path) -> ModelFolder:
    torch.manual_seed(0)
    (path / "model_index.json").write_text("{}")
    sizes = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    shared = sizes | {"projection_dim": WIDTH, "initializer_factor": 4.0}
    ids = vocabulary()
    ends = {"bos_token_id": ids[SPECIAL[0]], "eos_token_id": ids[SPECIAL[1]], "pad_token_id": ids[SPECIAL[1]]}
    text = CLIPTextConfig(**shared, **ends, vocab_size=len(ids), max_position_embeddings=PLACES)
    CLIPTextModelWithProjection(text).save_pretrained(path / "text_encoder")
    vision = CLIPVisionConfig(**shared, image_size=32, patch_size=8)
    CLIPVisionModelWithProjection(vision).save_pretrained(path / "image_encoder")
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(path / "feature_extractor")
    write_tokenizer(path / "tokenizer")
    write_prior(path / "prior")
    return ModelFolder.found(path)


def scribble(*size: int) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, *size), generator=rng, dtype=torch.uint8)


def saved(path: Path, pixels: Tensor) -> str:
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
    return str(path)
