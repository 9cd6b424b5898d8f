"""A backbone with random weights and real modules, for tests and for trying things out."""

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.embeddings import ImageProjection
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from recast.backbones.gen1 import Gen1Backbone
from recast.diffusion.schedule import schedule
from recast.model.metadata import ModelMetadata
from recast.networks import SpaceTimeUNet, inflate

SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
}


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


def tiny_unet() -> UNet2DConditionModel:
    """A small image UNet with one spatial transformer a resolution."""
    return UNet2DConditionModel(
        sample_size=4,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=8,
    ).eval()


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
