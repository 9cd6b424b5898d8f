"""A tiny folder of Stable Diffusion XL: StableDiffusionXLPipeline's."""

import json

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from recast.backbones.tiny import PUBLISHED_SCHEDULER, tiny_text_config, tiny_vae, write_tokenizer
from recast.model.folder import quiet

WIDTHS = (16, 24)
"""Of the two text encoders."""


def write_xl(path, *, seed=0, **index):
    """Writes the folder and returns it. index: more entries of model_index.json."""
    scheduler = {name: value for name, value in PUBLISHED_SCHEDULER.items() if name != "set_alpha_to_one"}
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        tiny_xl_unet().save_pretrained(path / "unet")
        tiny_vae().save_pretrained(path / "vae")
        kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
        for (name, kind), width in zip(kinds.items(), WIDTHS, strict=True):
            config = tiny_text_config(width=width, places=77)
            config.num_hidden_layers = 2
            kind(config).save_pretrained(path / name)
        EulerDiscreteScheduler(**scheduler, timestep_spacing="leading").save_pretrained(path / "scheduler")
    for name in ("tokenizer", "tokenizer_2"):
        write_tokenizer(path / name, places=77)
    (path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"} | index))
    return path


def tiny_xl_unet():
    """The tiny UNet with what XL's is conditioned on besides: the whole prompt, and six sizes."""
    return UNet2DConditionModel(
        sample_size=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=sum(WIDTHS),
        attention_head_dim=2,
        norm_num_groups=8,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=WIDTHS[1] + 6 * 4,
    )
