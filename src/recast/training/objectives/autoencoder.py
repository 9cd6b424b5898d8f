"""Loss of the autoencoder, on pictures of worlds, random textures and depth maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.data.renders import Pictures
from recast.engine.config import BatchShard, Loss
from recast.engine.rng import device_of, normal_noise, row_rng
from recast.errors import RequestError
from recast.training.objectives.depth import normalized
from recast.world import dead_leaves

KL_WEIGHT = 1e-5
NUM_LEAVES = 1500


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Size of an autoencoder; the defaults are Stable Diffusion's: downsampling by eight, four channels.

    widths: channels at each resolution. attention: in the middle block; without it, any size works equally well.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2
    groups: int = 32
    attention: bool = True
    side: int = 512

    def network(self) -> AutoencoderKL:
        """The autoencoder, randomly initialised."""
        return AutoencoderKL(
            block_out_channels=self.widths,
            down_block_types=("DownEncoderBlock2D",) * len(self.widths),
            up_block_types=("UpDecoderBlock2D",) * len(self.widths),
            layers_per_block=self.layers,
            latent_channels=4,
            norm_num_groups=self.groups,
            mid_block_add_attention=self.attention,
            sample_size=self.side,
        )


def reconstruction(pools: Sequence[Pictures], *, batch: int = 32, crop: int = 64, seed: int = 0) -> Loss[AutoencoderKL]:
    """Reconstruction loss (`_distance`), and a small KL term. crop: side of square crops in pixels.

    Raises RequestError where pictures are smaller than the crop.
    """
    least = min(min(pool.shape[1:]) for pool in pools)
    if least < crop:
        raise RequestError(f"pictures have a side of {least} px, and crops of {crop} are asked for; --set crop={least}")

    @cache
    def leaves(number: int) -> np.ndarray:
        return dead_leaves(np.random.default_rng([seed, 5, number]), (2 * crop, 2 * crop))

    def loss(network: AutoencoderKL, share: BatchShard) -> Tensor:
        pictures, noise = [], []
        for row in share.rows(batch):
            rng = row_rng(seed, share.step, row)
            drawn = leaves(int(rng.integers(NUM_LEAVES))) if (kind := _kind(rng)) == 1 else _world(rng, pools, kind)
            pictures.append(_crop(rng, drawn, crop))
            noise.append(normal_noise(rng, (4, crop // 8, crop // 8)))
        device = device_of(network)
        wanted = torch.from_numpy(np.stack(pictures)).to(device).float() / 127.5 - 1
        known: DiagonalGaussianDistribution = network.encode(wanted, return_dict=False)[0]
        latents = known.mean + known.std * torch.stack(noise).to(device)
        given = network.decode(latents, return_dict=False)[0].float()  # pyrefly: ignore[bad-argument-type] -- an old alias in diffusers
        return _distance(given, wanted) + KL_WEIGHT * known.kl().mean()

    return loss


def _kind(rng: np.random.Generator) -> int:
    """Kind of the next picture: 0 a world, 1 dead leaves, 2 a depth map."""
    return int(rng.choice(3, p=(0.6, 0.28, 0.12)))


def _world(rng: np.random.Generator, pools: Sequence[Pictures], kind: int) -> np.ndarray:
    clips = np.array([len(pool) for pool in pools])
    pool = pools[int(rng.choice(len(pools), p=clips / clips.sum()))]
    clip, frame = int(rng.integers(len(pool))), int(rng.integers(pool.shape[0]))
    if kind == 0:
        return pool.picture(clip, frame)
    grey = normalized(pool.depth(clip, frame)) * 255
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


def _crop(rng: np.random.Generator, picture: np.ndarray, side: int) -> np.ndarray:
    """A random crop, uint8 [3 h w], sometimes mirrored or with permuted channels."""
    top, left = rng.integers(picture.shape[0] - side + 1), rng.integers(picture.shape[1] - side + 1)
    crop = picture[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.3:
        crop = crop[..., rng.permutation(3)]
    return rearrange(crop, "h w c -> c h w")


def _distance(given: Float[Tensor, "b 3 h w"], wanted: Float[Tensor, "b 3 h w"]) -> Tensor:
    """Squared and absolute error, with colour differences counted twice, and a small error of image gradients.

    With a larger weight of gradients, or several scales of them, colours came out grey (docs/log.md).
    """
    off = given - wanted
    light = off.mean(1, keepdim=True)
    colour = off - light
    edges = sum(light.diff(dim=axis).abs().mean() for axis in (-1, -2))
    broad = F.avg_pool2d(off, 8).abs().mean()
    return 10 * off.square().mean() + light.abs().mean() + 2 * colour.abs().mean() + 0.4 * edges + broad
