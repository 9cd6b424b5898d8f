"""`pocket` as it ships: a model folder in fp16, with its facts, words and card."""

import shutil
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.prior_transformer import PriorTransformer
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import nn
from transformers import CLIPTokenizer

from recast.model.metadata import ModelMetadata
from recast.networks.clip_pair import Pair
from recast.networks.depth_unet import DepthUNet
from recast.networks.generator import Generator
from recast.recipes.pocket.presets import POCKET_LEVELS
from recast.training import export
from recast.world import vocabulary

CARD = Path(__file__).with_name("card.md")
FACTS = ModelMetadata(
    short_side=192,
    trained_side=128,
    frames=8,
    fps=10.0,
    cfg_scale=1.5,
    steps=4,
    ensemble=4,
    method_defaults={
        "flowedit": {"steps": 8, "cfg": 2.0, "ensemble": 1, "strength": 0.875, "residual": 0.5},
        "tokenflow": {"steps": 12},
    },
    prior_scale=2.0,
    embedding_norm="unit",
    depth_unit="inverse",
    known_words="words.txt",
)


def write(
    folder: Path,
    *,
    generator: Generator,
    vae: AutoencoderKL,
    pair: Pair,
    prior: PriorTransformer,
    depth: DepthUNet,
    tokenizer: CLIPTokenizer,
) -> None:
    """Writes every component; what stood in `folder` before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts: dict[str, nn.Module] = {
        "unet": generator,
        "vae": vae,
        "image_encoder": pair,
        "prior": prior,
        "depth_estimator": depth,
    }
    for component, network in parts.items():
        export.WRITERS[component](network, folder, dtype=torch.float16)
    tokenizer.save_pretrained(folder / "tokenizer")
    DDIMScheduler(**POCKET_LEVELS).save_pretrained(folder / "scheduler")
    export.write_facts(folder, FACTS)
    export.write_index(folder)
    (folder / "words.txt").write_text("\n".join(sorted(vocabulary())) + "\n")
    shutil.copy(CARD, folder / "README.md")
