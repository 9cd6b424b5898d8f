"""A whole model folder in the published layout: every component is the real class, tiny and with random weights."""

import json
import string
from pathlib import Path

import torch
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    DPTConfig,
    DPTForDepthEstimation,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from recast.backbones.tiny import SCHEDULER, tiny
from recast.networks.storage import save

WIDTH, PLACES, SHORT_SIDE, WINDOW = 12, 24, 32, 4
KNOWN_WORDS = ("a", "ball", "beach", "blue", "red", "snow", "snowy")
ENDS = ("<start>", "<end>")


def written(path: Path) -> Path:
    """Writes the folder at `path`, the same one each time, and returns it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        _write_facts(path)
        _write_generator(path)
        _write_encoders(path)
        _write_depth(path / "depth_estimator")
    return path


def _write_facts(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    facts = {"short_side": SHORT_SIDE, "window": WINDOW, "structures": ["depth", "edges"], "cfg_scale": 2.0}
    (path / "recast.json").write_text(json.dumps(facts | {"known_words": "words.txt"}))
    (path / "words.txt").write_text("\n".join(KNOWN_WORDS))
    (path / "model_index.json").write_text(json.dumps({"_class_name": "Gen1"}))


def _write_generator(path: Path) -> None:
    backbone = tiny()
    save(backbone.net, path)
    backbone.vae.save_pretrained(path / "vae")
    DDIMScheduler(**SCHEDULER).save_pretrained(path / "scheduler")
    (path / "projection").mkdir(exist_ok=True)
    save_file(backbone.projection.state_dict(), path / "projection" / "model.safetensors")
    config = {"image_embed_dim": WIDTH, "cross_attention_dim": 16, "num_image_text_embeds": 2}
    (path / "projection" / "config.json").write_text(json.dumps(config))


def _write_encoders(path: Path) -> None:
    pieces = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase), *ENDS]
    tower = {
        "hidden_size": WIDTH,
        "intermediate_size": 24,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "projection_dim": WIDTH,
        "initializer_factor": 4.0,
    }
    reader = CLIPTextConfig(
        vocab_size=len(pieces),
        max_position_embeddings=PLACES,
        bos_token_id=len(pieces) - 2,
        eos_token_id=len(pieces) - 1,
        pad_token_id=len(pieces) - 1,
        **tower,
    )
    CLIPTextModelWithProjection(reader).save_pretrained(path / "text_encoder")
    CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=16, patch_size=8, **tower)).save_pretrained(
        path / "image_encoder"
    )
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16).save_pretrained(path / "feature_extractor")
    PriorTransformer(2, WIDTH // 2, 1, embedding_dim=WIDTH, num_embeddings=PLACES).save_pretrained(path / "prior")
    _write_tokenizer(path / "tokenizer", pieces)


def _write_tokenizer(path: Path, pieces: list[str]) -> None:
    path.mkdir(exist_ok=True)
    (path / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}))
    (path / "merges.txt").write_text("#version: 0.2\n")
    names = dict(zip(("bos_token", "eos_token"), ENDS, strict=True)) | {"pad_token": ENDS[1], "unk_token": ENDS[1]}
    kind = {"tokenizer_class": "CLIPTokenizer", "model_max_length": PLACES}
    (path / "tokenizer_config.json").write_text(json.dumps(names | kind))


def _write_depth(path: Path) -> None:
    config = DPTConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=4,
        num_attention_heads=2,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=4,
        image_size=32,
        patch_size=16,
        is_hybrid=False,
    )
    DPTForDepthEstimation(config).save_pretrained(path)
    size = {"image_processor_type": "DPTImageProcessor", "size": {"height": 32, "width": 32}, "do_normalize": True}
    (path / "preprocessor_config.json").write_text(json.dumps(size | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}))


def clip_folder(path: Path, *, frames: int = 5, size: tuple[int, int] = (40, 52)) -> Path:
    """Writes a clip of so many PNG files of `size` rows and columns, a square that moves over a busy ground."""
    path.mkdir(parents=True)
    rng = torch.Generator().manual_seed(5)
    ground = torch.randint(0, 256, (*size, 3), generator=rng, dtype=torch.uint8)
    for index in range(frames):
        frame = ground.clone()
        frame[10:26, 8 + 3 * index : 24 + 3 * index] = torch.tensor([220, 40, 40], dtype=torch.uint8)
        Image.fromarray(frame.numpy()).save(path / f"{index:03d}.png")
    return path
