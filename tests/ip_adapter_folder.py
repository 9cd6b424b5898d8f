"""Tiny IP-Adapters in the published layout, put beside the networks of a folder of Stable Diffusion's line."""

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from recast.model.folder import quiet

WIDTH, CROSS = 12, 16
LAYERS = (16, 16, 16, 32)
"""Channels of the tiny UNet's layers of cross-attention: one on the way down, two up, one in the middle."""


def ip_adapter(*, plus=False, layers=LAYERS):
    """Weights by their published names. plus: it reads patches by a resampler, with 3 tokens, else 4 tokens."""
    rng = torch.Generator().manual_seed(7)

    def drawn(*shape):
        return torch.randn(shape, generator=rng) * 0.5

    weights = {f"image_proj.{name}": value for name, value in (_resampler if plus else _linear)(drawn).items()}
    for index, channels in enumerate(layers):
        for part in ("to_k_ip", "to_v_ip"):
            weights[f"ip_adapter.{2 * index + 1}.{part}.weight"] = drawn(channels, CROSS)
    return weights


def add_ip_adapter(path, *, plus=False, **changes):
    """Writes ip_adapter, image_encoder and feature_extractor into a folder, and returns it."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(8)
        CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=WIDTH,
                intermediate_size=24,
                num_attention_heads=2,
                num_hidden_layers=2,
                projection_dim=WIDTH,
                image_size=16,
                patch_size=8,
                initializer_factor=4.0,
            )
        ).save_pretrained(path / "image_encoder")
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16).save_pretrained(path / "feature_extractor")
    (path / "ip_adapter").mkdir()
    save_file(ip_adapter(plus=plus, **changes), path / "ip_adapter" / "model.safetensors")
    return path


def _linear(drawn):
    return {
        "proj.weight": drawn(4 * CROSS, WIDTH),
        "proj.bias": drawn(4 * CROSS),
        "norm.weight": 1 + drawn(CROSS),
        "norm.bias": drawn(CROSS),
    }


def _resampler(drawn, width=64):
    held = {"latents": drawn(1, 3, width)}
    for name, (into, out) in {"proj_in": (WIDTH, width), "proj_out": (width, CROSS)}.items():
        held |= {f"{name}.weight": drawn(out, into) / into**0.5, f"{name}.bias": drawn(out)}
    held |= {"norm_out.weight": 1 + drawn(CROSS), "norm_out.bias": drawn(CROSS)}
    for layer in range(4):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            held |= {f"layers.{layer}.{norm}.weight": 1 + drawn(width), f"layers.{layer}.{norm}.bias": drawn(width)}
        shapes = {"0.to_q": (width, width), "0.to_kv": (2 * width, width), "0.to_out": (width, width)}
        shapes |= {"1.1": (4 * width, width), "1.3": (width, 4 * width)}
        held |= {f"layers.{layer}.{name}.weight": drawn(*shape) / width**0.5 for name, shape in shapes.items()}
    return held
