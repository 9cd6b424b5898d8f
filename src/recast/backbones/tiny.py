"""Backbones with random weights and real modules, for tests and for trying things out."""

import json
import string
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.embeddings import ImageProjection
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from transformers import CLIPTextConfig, CLIPTextModel, DPTConfig, DPTForDepthEstimation

from recast.backbones.gen1 import Gen1Backbone
from recast.diffusion.schedule import schedule
from recast.model.folder import quiet
from recast.model.metadata import ModelMetadata
from recast.networks.spacetime import SpaceTimeUNet, inflate

SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
}
PUBLISHED_SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
"""What the schedulers of Stable Diffusion 1 and 2 have in common, as published."""

ENDS = ("<|startoftext|>", "<|endoftext|>")
PIECES = (*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase), *ENDS)
"""A tokenizer's vocabulary: letters, letters at the end of a word, and a text's two ends."""


def tiny(seed: int = 0, *, together: bool = True) -> Gen1Backbone:
    """A whole Gen-1 backbone of about 0.3 million weights, as if it had been trained: no layer is still zero."""
    with torch.random.fork_rng(devices=[]):  # modules draw their first weights from the global stream
        torch.manual_seed(seed)
        net = inflate(tiny_unet(), extra_channels=8, max_frames=16)
        roughen(net)
        return Gen1Backbone(
            net=net.eval(),
            vae=tiny_vae().eval().requires_grad_(False),
            schedule=schedule(SCHEDULER),
            projection=ImageProjection(12, cross_attention_dim=16, num_image_text_embeds=2)
            .eval()
            .requires_grad_(False),
            metadata=ModelMetadata(structures=("depth", "edges"), short_side=32, window=8),
            together=together,
        )


def tiny_unet(in_channels: int = 4) -> UNet2DConditionModel:
    """A small image UNet with one spatial transformer a resolution."""
    return UNet2DConditionModel(
        sample_size=4,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=8,
    ).eval()


def write_stable_diffusion(
    path: Path, *, prediction: str = "epsilon", depth: bool = False, picture: bool = False, seed: int = 0
) -> Path:
    """Writes a folder of Stable Diffusion in the published layout, all of it tiny, and returns it.

    prediction: "epsilon" comes with a PNDM scheduler, as in 1.x and 2-base; "v_prediction" with DDIM, as in 2.1.
    depth: as 2-depth, with five channels and a depth estimator. picture: as InstructPix2Pix, with eight channels. There
    is no safety checker.
    """
    scheduler = PNDMScheduler(**PUBLISHED_SCHEDULER, skip_prk_steps=True)
    if prediction != "epsilon":
        scheduler = DDIMScheduler(**PUBLISHED_SCHEDULER, prediction_type=prediction, clip_sample=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: dict[str, Any] = {
            "scheduler": scheduler,
            "text_encoder": CLIPTextModel(tiny_text_config(width=16, places=77)),
            "unet": tiny_unet(8 if picture else 5 if depth else 4),
            "vae": tiny_vae(),
        }
        if depth:
            write_depth_estimator(path / "depth_estimator", path / "feature_extractor")
    with quiet():
        for name, part in parts.items():
            part.save_pretrained(path / name)
    write_tokenizer(path / "tokenizer", places=77)
    classes = {name: [type(part).__module__.split(".")[0], type(part).__name__] for name, part in parts.items()}
    classes["tokenizer"] = ["transformers", "CLIPTokenizer"]
    if depth:
        classes |= {"depth_estimator": ["transformers", "DPTForDepthEstimation"]}
        classes |= {"feature_extractor": ["transformers", "DPTImageProcessor"]}
    kin = "InstructPix2Pix" if picture else "Depth2Img" if depth else ""
    kind = f"StableDiffusion{kin}Pipeline"
    (path / "model_index.json").write_text(json.dumps({"_class_name": kind, **classes}))
    return path


def tiny_text_config(*, width: int, places: int) -> CLIPTextConfig:
    """A text encoder of one layer for PIECES."""
    return CLIPTextConfig(
        vocab_size=len(PIECES),
        hidden_size=width,
        intermediate_size=24,
        projection_dim=width,
        num_attention_heads=2,
        num_hidden_layers=1,
        max_position_embeddings=places,
        bos_token_id=len(PIECES) - 2,
        eos_token_id=len(PIECES) - 1,
        pad_token_id=len(PIECES) - 1,
        initializer_factor=4.0,
    )


def write_tokenizer(path: Path, *, places: int) -> None:
    """Writes a CLIP tokenizer of PIECES, as Stable Diffusion has it: a vocabulary, and merges (none)."""
    path.mkdir(exist_ok=True)
    (path / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(PIECES)}))
    (path / "merges.txt").write_text("#version: 0.2\n")
    names = dict(zip(("bos_token", "eos_token"), ENDS, strict=True)) | {"pad_token": ENDS[1], "unk_token": ENDS[1]}
    kind = {"tokenizer_class": "CLIPTokenizer", "model_max_length": places}
    (path / "tokenizer_config.json").write_text(json.dumps(names | kind))


def write_depth_estimator(path: Path, processor: Path) -> None:
    """Writes a DPT with random weights, and its processor to a folder that may be the same."""
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
    with quiet():
        DPTForDepthEstimation(config).save_pretrained(path)
    size = {"image_processor_type": "DPTImageProcessor", "size": {"height": 32, "width": 32}, "do_normalize": True}
    processor.mkdir(exist_ok=True)
    (processor / "preprocessor_config.json").write_text(
        json.dumps(size | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    )


def tiny_vae() -> AutoencoderKL:
    """A small autoencoder: 8 pixels a latent, 4 channels."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
    )


@torch.no_grad()
def roughen(net: SpaceTimeUNet) -> None:
    """Moves the temporal weights and the added channels' off zero, as training would; from the global stream."""
    for weight in [*net.temporal_parameters(), net.unet.conv_in.weight]:
        weight.add_(0.05 * torch.randn_like(weight))
