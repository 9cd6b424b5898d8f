"""A whole model folder in the published layout: every component is the real class, tiny and with random weights."""

import json
from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

import torch
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from recast.backbones.tiny import SCHEDULER, tiny, tiny_text_config, write_depth_estimator, write_tokenizer
from recast.networks.storage import save

WIDTH, PLACES, SHORT_SIDE, WINDOW = 12, 24, 32, 4
KNOWN_WORDS = ("a", "ball", "beach", "blue", "red", "snow", "snowy")


def written(path: Path) -> Path:
    """Writes the folder at `path`, the same one each time, and returns it."""
    copytree(_made(PLACES).name, path, dirs_exist_ok=True)
    return path


@cache
def _made(_places: int) -> TemporaryDirectory[str]:
    """The folder that `written` copies: made once in a process."""
    folder = TemporaryDirectory()
    path = Path(folder.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        _write_facts(path)
        _write_generator(path)
        _write_encoders(path)
        write_depth_estimator(path / "depth_estimator", path / "depth_estimator")
    return folder


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
    tower = {
        "hidden_size": WIDTH,
        "intermediate_size": 24,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "projection_dim": WIDTH,
        "initializer_factor": 4.0,
    }
    reader = tiny_text_config(width=WIDTH, places=PLACES)
    CLIPTextModelWithProjection(reader).save_pretrained(path / "text_encoder")
    CLIPVisionModelWithProjection(CLIPVisionConfig(image_size=16, patch_size=8, **tower)).save_pretrained(
        path / "image_encoder"
    )
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16).save_pretrained(path / "feature_extractor")
    prior = PriorTransformer(2, WIDTH // 2, 1, embedding_dim=WIDTH, num_embeddings=PLACES)
    torch.nn.init.ones_(prior.clip_std)  # with zeros, as it is made, all words are one embedding
    torch.nn.init.normal_(prior.prd_embedding)
    prior.save_pretrained(path / "prior")
    write_tokenizer(path / "tokenizer", places=PLACES)


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
