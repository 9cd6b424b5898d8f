"""The depth estimator: inverse depth up to a scale and a shift. After MiDaS, arXiv:1907.01341, section 5."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.structure.depth_unet import DepthUNet, DepthUNetConfig
from recast.training.loop import Loss, Share
from recast.training.pool import Pool

Depth = Float[Tensor, "b h w"]


def depth_estimator() -> DepthUNet:
    """`pocket`'s estimator, 1 M weights."""
    return DepthUNet(DepthUNetConfig())


def distance(pools: list[Pool], *, seed: int = 0, batch: int = 16) -> Loss[DepthUNet]:
    """Error of each picture's inverse depth, 0..1 over the picture, and of its gradients at two scales (eq. 11).

    Differs: worlds give depth without error, so each picture's own range stands for MiDaS's fitted scale and shift.
    """
    chances = np.array([len(pool) for pool in pools], dtype=float)
    chances /= chances.sum()

    def loss(network: DepthUNet, share: Share) -> Tensor:
        step = share.undivided()
        rng = np.random.default_rng([seed, 2, step])
        pool = pools[rng.choice(len(pools), p=chances)]
        drawn = [_example(rng, pool) for _ in range(batch)]
        pictures = torch.from_numpy(np.stack([picture for picture, _ in drawn]))
        wanted = torch.from_numpy(np.stack([depth for _, depth in drawn]))
        off = network(pictures).predicted_depth - wanted
        return off.abs().mean() + 0.2 * _gradients(off)

    return loss


def normalized(inverse: np.ndarray) -> np.ndarray:
    """Inverse depth as 0..1, by the range that leaves out 1 % at either end."""
    low, high = np.quantile(inverse, (0.01, 0.99))
    return np.clip((inverse - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _example(rng: np.random.Generator, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    clip, frame = rng.integers(len(pool)), rng.integers(pool.frames.shape[1])
    picture, depth = pool.frames[clip, frame], pool.inverse[clip, frame].astype(np.float32)
    if rng.random() < 0.5:
        picture, depth = picture[:, ::-1], depth[:, ::-1]
    if rng.random() < 0.5:
        height, width = depth.shape
        share = rng.uniform(0.55, 1)
        h, w = int(height * share), int(width * share)
        top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
        box = np.s_[top : top + h, left : left + w]
        picture = cv2.resize(np.ascontiguousarray(picture[box]), (width, height), interpolation=cv2.INTER_LINEAR)
        depth = cv2.resize(np.ascontiguousarray(depth[box]), (width, height), interpolation=cv2.INTER_NEAREST)
    return rearrange(_filmed(rng, picture), "h w c -> c h w"), normalized(depth)


def _filmed(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """As another camera might have seen it: light, colour, blur and noise. 0..1."""
    seen = picture.astype(np.float32) / 255
    if rng.random() < 0.3:
        seen = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.15:
        seen = np.repeat(seen.mean(-1, keepdims=True), 3, axis=-1)
    if rng.random() < 0.2:
        seen = seen[..., rng.permutation(3)]
    seen = seen * rng.uniform(0.7, 1.3, 3) + rng.uniform(-0.1, 0.1)
    seen = np.clip(seen, 0, 1) ** rng.uniform(0.6, 1.6)
    if rng.random() < 0.5:
        seen = seen + rng.normal(0, rng.uniform(0, 0.05), seen.shape)
    return np.clip(seen, 0, 1).astype(np.float32)


def _gradients(off: Depth) -> Tensor:
    total = torch.zeros(())
    for _ in range(2):
        total = total + off.diff(dim=-1).abs().mean() + off.diff(dim=-2).abs().mean()
        off = F.avg_pool2d(off, 2)
    return total
