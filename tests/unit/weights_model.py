"""A model folder of tiny random components, one of each library, to load, damage and load again."""

import json
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.embeddings import ImageProjection
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

WEIGHTS = {
    "vae": "diffusion_pytorch_model.safetensors",
    "image_encoder": "model.safetensors",
    "projection": "model.safetensors",
}


def small_vae() -> AutoencoderKL:
    return AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, layers_per_block=1, latent_channels=2)


def small_vision() -> CLIPVisionModelWithProjection:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, image_size=16, patch_size=8, projection_dim=12))


def write_model(path: Path) -> None:
    torch.manual_seed(0)
    (path / "model_index.json").write_text("{}")
    (path / "recast.json").write_text('{"short_side": 128, "structures": ["depth", "edges"], "embedding_norm": "unit"}')
    small_vae().save_pretrained(path / "vae")
    small_vision().save_pretrained(path / "image_encoder")
    DDIMScheduler(prediction_type="v_prediction").save_pretrained(path / "scheduler")
    projection = path / "projection"
    projection.mkdir()
    sizes = {"image_embed_dim": 12, "cross_attention_dim": 16, "num_image_text_embeds": 2}
    (projection / "config.json").write_text(json.dumps({"_class_name": "ImageProjection", **sizes}))
    save_file(ImageProjection(**sizes).state_dict(), projection / "model.safetensors")


def kind_of(name: str) -> type[nn.Module]:
    return {"vae": AutoencoderKL, "image_encoder": CLIPVisionModelWithProjection, "projection": ImageProjection}[name]
