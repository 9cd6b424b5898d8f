"""A tiny folder of LTX-2: LTX2Pipeline's, without its parts for sound."""

import json
import string

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

from ltx_folder import PUBLISHED
from recast.model.folder import quiet

PIECES = ("<pad>", "</s>", "<unk>", "<image>", "<boi>", "<eoi>", *string.ascii_lowercase)
WIDTH, LAYERS = 16, 2


def write_ltx2(path, *, seed=0):
    """Writes the folder and returns it."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        shape = {"num_attention_heads": 2, "attention_head_dim": 12, "cross_attention_dim": 24, "num_layers": 2}
        sound = {f"audio_{name}": value for name, value in shape.items() if name != "num_layers"}
        LTX2VideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            caption_channels=WIDTH,
            **shape,
            **sound,
            audio_in_channels=6,
            audio_out_channels=6,
            vae_scale_factors=(4, 8, 8),
        ).save_pretrained(path / "transformer")
        tiny_ltx2_vae().save_pretrained(path / "vae")
        heads = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1, "num_learnable_registers": 8}
        both = {f"{kind}_connector_{name}": value for kind in ("video", "audio") for name, value in heads.items()}
        LTX2TextConnectors(caption_channels=WIDTH, text_proj_in_factor=LAYERS + 1, **both).save_pretrained(
            path / "connectors"
        )
        Gemma3ForConditionalGeneration(gemma()).save_pretrained(path / "text_encoder")
        FlowMatchEulerDiscreteScheduler(**PUBLISHED).save_pretrained(path / "scheduler")
    _write_tokenizer(path / "tokenizer")
    (path / "model_index.json").write_text(json.dumps({"_class_name": "LTX2Pipeline"}))
    (path / "recast.json").write_text(json.dumps({"short_side": 32, "window": 9, "steps": 2, "fps": 8}))
    return path


def gemma():
    sizes = {"hidden_size": WIDTH, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    text = {**sizes, "num_hidden_layers": LAYERS, "head_dim": 8, "vocab_size": len(PIECES), "sliding_window": 8}
    vision = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    ids = {"image_token_index": 3, "boi_token_index": 4, "eoi_token_index": 5, "mm_tokens_per_image": 1}
    return Gemma3Config(text_config=text, vision_config={**vision, "image_size": 14, "patch_size": 14}, **ids)


def tiny_ltx2_vae():
    """Four frames a latent, eight pixels, four channels whose scales are not one."""
    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8, 8, 8),
        down_block_types=("LTX2VideoDownBlock3D",) * 3,
        decoder_block_out_channels=(8, 8),
        layers_per_block=(1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        spatio_temporal_scaling=(True, True, False),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(False,) * 3,
        downsample_type=("spatiotemporal", "spatiotemporal", "spatial"),
        upsample_type=("spatiotemporal", "spatiotemporal"),
        upsample_residual=(False, False),
        upsample_factor=(1, 1),
        patch_size=2,
        decoder_causal=False,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
    )
    vae.latents_mean.copy_(torch.tensor([0.1, -0.1, 0.2, 0.0]))
    vae.latents_std.copy_(torch.tensor([0.9, 1.1, 1.2, 0.8]))
    return vae


def _write_tokenizer(path):
    fast = Tokenizer(models.WordLevel({piece: place for place, piece in enumerate(PIECES)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    path.mkdir(exist_ok=True)
    fast.save(str(path / "tokenizer.json"))
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    config = names | {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1024}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
