"""A tiny folder of CogVideoX: CogVideoXPipeline's, or CogVideoXImageToVideoPipeline's."""

import json

import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler
from transformers import T5Config, T5EncoderModel

from recast.model.folder import quiet
from t5_folder import TINY, write_t5

PUBLISHED = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "snr_shift_scale": 3.0,
    "timestep_spacing": "trailing",
}
"""What the published scheduler of CogVideoX 2B is; of 5B, with a shift of 1."""
SIZE = {"sample_height": 4, "sample_width": 6, "sample_frames": 9}
"""Of training, in latents and in frames: clips of 48x32 px."""


def write_cogvideox(path, *, rotary=False, picture=False, seed=0, **scheduler):
    """Writes the folder and returns it. rotary: as 5B. picture: as 5B-I2V, with learned positions too."""
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(seed)
        network = tiny_network(
            in_channels=8 if picture else 4,
            use_rotary_positional_embeddings=rotary or picture,
            use_learned_positional_embeddings=picture,
        )
        network.save_pretrained(path / "transformer")
        tiny_cogvideox_vae(invert_scale_latents=picture).save_pretrained(path / "vae")
        write_t5(path, T5EncoderModel(T5Config(**TINY)))
        CogVideoXDDIMScheduler(**PUBLISHED | scheduler).save_pretrained(path / "scheduler")
    kind = "CogVideoXImageToVideoPipeline" if picture else "CogVideoXPipeline"
    (path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    (path / "recast.json").write_text(json.dumps({"short_side": 32, "window": 9, "steps": 2, "fps": 8}))
    return path


def tiny_network(**config):
    """Two blocks; time is 16 sines wide, a head 16, of which rotary positions take a quarter for time."""
    shape = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "time_embed_dim": 8}
    words = {"text_embed_dim": 16, "max_text_seq_length": 32}
    network = CogVideoXTransformer3DModel(out_channels=4, **shape | words | SIZE | {"in_channels": 4} | config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return network


def tiny_cogvideox_vae(**config):
    """Four frames a latent, eight pixels, four channels."""
    return AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=0.7,
        sample_height=32,
        sample_width=48,
        **config,
    )
