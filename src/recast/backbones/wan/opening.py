"""Opens a folder of WanPipeline, WanVACEPipeline, LucyEditPipeline or Bernini's renderer."""

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel

from recast.backbones.t5_prompt import T5Prompt
from recast.backbones.video_transformer import flow_schedule
from recast.backbones.wan.autoencoder import WanAutoencoder
from recast.backbones.wan.backbone import WanBackbone, WanNetwork
from recast.backbones.wan.in_context import WanInContextBackbone, told_apart
from recast.backbones.wan.instructed import WanInstructedBackbone
from recast.backbones.wan.vace import WanVACEBackbone
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.index import read_index
from recast.model.metadata import json_object
from recast.networks.placement import placed

PLACES = 512
"""Tokens of a prompt, as the pipelines have it."""
CLASSES: dict[str, tuple[type, type[WanBackbone]]] = {
    "WanTransformer3DModel": (WanTransformer3DModel, WanBackbone),
    "WanVACETransformer3DModel": (WanVACETransformer3DModel, WanVACEBackbone),
}
"""The network and the backbone, by the class that the transformer's config.json names."""
IN_CONTEXT = "BerniniRendererPipeline"
"""The class in model_index.json by which a folder says that its network reads the clip as tokens before its own."""


def opened(model: ModelFolder, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> WanBackbone:
    """The backbone in a folder: transformer, vae, text_encoder, tokenizer, scheduler; transformer_2 where it has one.

    dtype: of transformer and text encoder; the autoencoder computes in fp32, as published. Raises WeightsError for a
    part that is missing, unsafe or damaged, and for networks that read a picture as their first frame.
    """
    from transformers import UMT5EncoderModel

    named = json_object(model.component("transformer") / "config.json").get("_class_name")
    if named not in CLASSES:
        raise WeightsError(f"the transformer is a {named}, and wan opens {' and '.join(CLASSES)}; {model.path}")
    kind, backbone = CLASSES[named]
    network = _network(model, "transformer", kind, (device, dtype))
    second = _network(model, "transformer_2", kind, (device, dtype)) if model.has("transformer_2") else None
    if network.config.in_channels != network.config.out_channels:
        backbone = WanInstructedBackbone
    if read_index(model.path).get("_class_name") == IN_CONTEXT:
        backbone = WanInContextBackbone
        network, second = told_apart(network), None if second is None else told_apart(second)
    vae = placed(model.network("vae", AutoencoderKLWan), device)
    return backbone(
        network=network,
        at_little_noise=second,
        boundary=_boundary(model) if second is not None else 0.0,
        autoencoder=WanAutoencoder(vae),
        prompt=T5Prompt.opened(model, UMT5EncoderModel, PLACES, (device, dtype)),
        schedule=flow_schedule(model),
        metadata=model.metadata,
    )


def _network(model: ModelFolder, name: str, kind: type, where: tuple[str, torch.dtype]) -> WanNetwork:
    device, dtype = where
    network = placed(model.network(name, kind, dtype=dtype), device)
    channels = network.config.in_channels, network.config.out_channels
    if channels[0] not in (channels[1], 2 * channels[1]) or (channels[0] != channels[1] and "vace" in kind.__module__):
        reads = f"{name} reads {channels[0]} channels and gives {channels[1]}, so it is conditioned on a first frame"
        known = "those of text-to-video, VACE and Lucy-Edit"
        raise WeightsError(f"{reads}; wan opens {known}: take one of these; {model.path}")
    return network


def _boundary(model: ModelFolder) -> float:
    share = read_index(model.path).get("boundary_ratio")
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        wrong = f"there are two transformers, and model_index.json has boundary_ratio {share!r}"
        raise WeightsError(f"{wrong}; it says which levels each has, 0 to 1; {model.path}")
    return float(share)
