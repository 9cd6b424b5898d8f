"""`pocket` as a model folder: diffusers' layout, fp16 safetensors, with its card."""

import json
import shutil
from pathlib import Path

import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTokenizer, PreTrainedModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.glpn.image_processing_pil_glpn import GLPNImageProcessorPil

from recast.models.storage import save
from recast.training import clip, diffusion
from recast.world import vocabulary

CARD = Path(__file__).with_name("pocket.md")


def write(
    folder: Path,
    *,
    generator: diffusion.Generator,
    vae: ModelMixin,
    pair: clip.Pair,
    prior: ModelMixin,
    depth: PreTrainedModel,
    tokenizer: CLIPTokenizer,
    scheduler: dict,
) -> None:
    """Writes every component; what stood in `folder` before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save(generator.net, folder, torch.float16)
    parts: dict[str, ModelMixin | PreTrainedModel] = {
        "vae": vae,
        "image_encoder": pair.image,
        "text_encoder": pair.text,
        "prior": prior,
        "depth_estimator": depth,
    }
    for name, network in parts.items():
        network.half().save_pretrained(folder / name, safe_serialization=True)
    _write_projection(folder / "projection", generator.projection)
    tokenizer.save_pretrained(folder / "tokenizer")
    DDIMScheduler(**scheduler).save_pretrained(folder / "scheduler")
    grey = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    CLIPImageProcessorPil(size={"shortest_edge": clip.SIDE}, crop_size=clip.SIDE, **grey).save_pretrained(
        folder / "feature_extractor"
    )
    GLPNImageProcessorPil(size_divisor=32).save_pretrained(folder / "depth_estimator")
    _write_facts(folder)


def _write_projection(folder: Path, projection: nn.Module) -> None:
    folder.mkdir()
    save_file({name: weight.half() for name, weight in projection.state_dict().items()}, folder / "model.safetensors")
    config = {
        "image_embed_dim": clip.WIDTH,
        "cross_attention_dim": diffusion.TOKEN_WIDTH,
        "num_image_text_embeds": diffusion.TOKENS,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def _write_facts(folder: Path) -> None:
    facts = {
        "short_side": 128,
        "structures": ["depth"],
        "window": 16,
        "scale": 3.0,
        "prior_scale": 2.0,
        "embedding_norm": "unit",
        "depth_unit": "inverse",
        "known_words": "words.txt",
    }
    (folder / "recast.json").write_text(json.dumps(facts, indent=1) + "\n")
    (folder / "words.txt").write_text("\n".join(sorted(vocabulary())) + "\n")
    libraries = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "temporal": ["recast", "SpaceTimeUNet"],
        "vae": ["diffusers", "AutoencoderKL"],
        "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "prior": ["diffusers", "PriorTransformer"],
        "projection": ["diffusers", "ImageProjection"],
        "depth_estimator": ["recast", "DepthUNet"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Gen1", **libraries}, indent=1) + "\n")
    if CARD.exists():
        shutil.copy(CARD, folder / "README.md")
