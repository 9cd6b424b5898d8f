"""The autoencoder: pictures of worlds, random textures and depth maps, at eight pixels a latent."""

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.training.loop import Loss, Share
from recast.training.pool import Pool
from recast.world import dead_leaves

CROP = 64
KL_WEIGHT = 1e-5


def autoencoder() -> AutoencoderKL:
    """`pocket`'s autoencoder: f = 8, four channels, no attention, so that it takes any size at the same quality."""
    return AutoencoderKL(
        block_out_channels=(16, 32, 64, 96),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=128,
    )


def reconstruction(pools: list[Pool], *, seed: int = 0, batch: int = 32) -> Loss[AutoencoderKL]:
    """Error of the pictures as `_distance` weighs it, and a slight pull to unit variance."""
    leaves = np.stack([dead_leaves(np.random.default_rng([seed, 5, i]), (128, 128)) for i in range(1500)])

    def loss(network: AutoencoderKL, share: Share) -> Tensor:
        step = share.undivided()
        rng = np.random.default_rng([seed, 1, step])
        wanted = torch.from_numpy(np.stack([_crop(rng, pools, leaves) for _ in range(batch)])).float() / 127.5 - 1
        known = network.encode(wanted, return_dict=False)[0]
        noise = torch.randn(known.mean.shape, generator=torch.Generator().manual_seed(step))
        given = network.decode(known.mean + known.std * noise, return_dict=False)[0].float()  # pyrefly: ignore[bad-argument-type] -- an old alias in diffusers
        return _distance(given, wanted) + KL_WEIGHT * known.kl().mean()

    return loss


def _crop(rng: np.random.Generator, pools: list[Pool], leaves: np.ndarray) -> np.ndarray:
    """[3 h w] uint8: worlds half of the time, leaves often, a depth map sometimes."""
    kind = rng.choice(3, p=(0.5, 0.38, 0.12))
    if kind == 1:
        picture = leaves[rng.integers(len(leaves))]
    else:
        pool = pools[rng.integers(len(pools))]
        clip, frame = rng.integers(len(pool)), rng.integers(pool.frames.shape[1])
        picture = pool.frames[clip, frame]
        if kind == 2:
            depth = pool.inverse[clip, frame].astype(np.float32)
            low, high = np.quantile(depth, (0.01, 0.99))
            grey = np.clip((depth - low) / max(high - low, 1e-6), 0, 1) * 255
            picture = np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)
    top, left = rng.integers(picture.shape[0] - CROP + 1), rng.integers(picture.shape[1] - CROP + 1)
    crop = picture[top : top + CROP, left : left + CROP]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.3:
        crop = crop[..., rng.permutation(3)]
    return rearrange(crop, "h w c -> c h w")


def _distance(given: Float[Tensor, "b 3 h w"], wanted: Float[Tensor, "b 3 h w"]) -> Tensor:
    """Squared and absolute error, colour difference counted twice, and a little of the gradients.

    Gradients alone, or at several scales, spend all four channels on outlines: the first try came out grey.
    """
    off = given - wanted
    light = off.mean(1, keepdim=True)
    colour = off - light
    edges = sum(light.diff(dim=axis).abs().mean() for axis in (-1, -2))
    broad = F.avg_pool2d(off, 8).abs().mean()
    return 6 * off.square().mean() + light.abs().mean() + 2 * colour.abs().mean() + 0.4 * edges + broad
