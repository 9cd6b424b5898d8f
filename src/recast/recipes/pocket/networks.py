"""Sizes of pocket's networks, and its noise levels."""

from recast.networks.clip_pair import CLIPConfig
from recast.networks.generator import UNetConfig
from recast.training.objectives.autoencoder import VAEConfig
from recast.training.stages import SD_LEVELS, Size

POCKET_SIZES: tuple[Size, ...] = ((128, 128), (224, 128))
# A level of pure noise: without it the brightness of night and of paper could not be reached (arXiv:2305.08891).
POCKET_LEVELS = {**SD_LEVELS, "rescale_betas_zero_snr": True}

POCKET_LAYERS = UNetConfig(
    widths=(96, 128),
    attention=(False, True),
    layers=1,
    heads=4,
    groups=16,
    tokens=8,
    token_width=96,
    content_width=128,
    fused=False,
)
POCKET_TOWERS = CLIPConfig(
    width=128,
    side=128,
    patch=16,
    image=(128, 4, 4),
    text=(128, 3, 4),
    places=32,
    vocabulary=0,
    heads=True,
    fused=False,
)
POCKET_SCALES = VAEConfig(widths=(16, 32, 64, 96), layers=1, groups=8, attention=False, side=128)
RUN_COMMAND = "recast train {name} -o runs"
"""pocket's stages find their data and their start in the run folder."""
