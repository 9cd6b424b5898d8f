"""Opens a folder of CogVideoXPipeline or CogVideoXImageToVideoPipeline."""

import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel

from recast.backbones.cogvideox.autoencoder import CogVideoXAutoencoder
from recast.backbones.cogvideox.backbone import CogVideoXBackbone
from recast.backbones.cogvideox.picture import CogVideoXPictureBackbone
from recast.backbones.t5_prompt import T5Prompt
from recast.diffusion.parameterization import Prediction
from recast.diffusion.schedule import Schedule, schedule
from recast.errors import WeightsError
from recast.model.folder import ModelFolder


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> CogVideoXBackbone:
    """The backbone in a folder: transformer, vae, text_encoder, tokenizer, scheduler.

    dtype: of the networks; latents stay fp32. A network that reads twice as many channels as it gives starts from a
    picture. Raises WeightsError for a part that is missing, unsafe or damaged, for other numbers of channels, and for
    networks of CogVideoX 1.5, whose places are two latents.
    """
    from transformers import T5EncoderModel

    network = model.network("transformer", CogVideoXTransformer3DModel, dtype=dtype).to(device).requires_grad_(False)
    vae = model.network("vae", AutoencoderKLCogVideoX, dtype=dtype).to(device).requires_grad_(False)
    places = network.config.max_text_seq_length
    return _kind_of(network, model)(
        network=network,
        autoencoder=CogVideoXAutoencoder(vae),
        prompt=T5Prompt.opened(model, T5EncoderModel, places, (device, dtype), sees_padding=True, keeps_padding=True),
        schedule=_levels(model),
        metadata=model.metadata,
    )


def _kind_of(network: CogVideoXTransformer3DModel, model: ModelFolder) -> type[CogVideoXBackbone]:
    config = network.config
    if config.patch_size_t is not None:
        wrong = f"the transformer's places are {config.patch_size_t} latents over time, as CogVideoX 1.5's are"
        raise WeightsError(f"{wrong}; cogvideox opens those of one: CogVideoX 2B, 5B and 5B-I2V; {model.path}")
    if config.in_channels == config.out_channels:
        return CogVideoXBackbone
    if config.in_channels == 2 * config.out_channels and config.ofs_embed_dim is None:
        return CogVideoXPictureBackbone
    reads = f"the transformer reads {config.in_channels} channels and gives {config.out_channels}"
    raise WeightsError(f"{reads}; cogvideox opens as many (from words) or twice as many (from a picture); {model.path}")


def _levels(model: ModelFolder) -> Schedule:
    # CogVideoX's scheduler classes shift by 3 where their configuration does not say it.
    levels = schedule({"snr_shift_scale": 3.0} | model.scheduler_config())
    if levels.prediction is not Prediction.VELOCITY:
        wrong = f"the scheduler is of {levels.prediction} and CogVideoX predicts {Prediction.VELOCITY}"
        raise WeightsError(f"{wrong}; take the scheduler of the model itself; {model.path}")
    return levels
