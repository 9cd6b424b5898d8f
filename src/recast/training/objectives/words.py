"""Loss of an image network that reads words and depth, as Stable Diffusion 2-depth does. arXiv:2112.10752, eq. 3."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor, nn

from recast.data.word_cache import WordCache
from recast.diffusion.parameterization import Prediction, scale_input, target
from recast.diffusion.schedule import Schedule
from recast.engine.config import BatchShard, Loss, LossOutput
from recast.engine.rng import device_of, normal_noise, row_rng, step_rng
from recast.training.objectives.batches import Batches, drawn_level


@dataclass(frozen=True, eq=False)
class WordData:
    """Pictures and how their captions are read.

    caches: of pictures. ids: token ids of each cache's captions. text: the frozen text encoder. empty: ids of no words.
    """

    caches: Sequence[WordCache]
    ids: Sequence[Int[Tensor, "n k m"]]
    text: nn.Module
    empty: Int[Tensor, " m"]


class WordRow(NamedTuple):
    """One row of a batch: clean latents, noise and its level, depth, and the token ids of a caption."""

    clean: Float[Tensor, "4 y x"]
    noise: Float[Tensor, "4 y x"]
    level: Int[Tensor, ""]
    depth: Float[Tensor, "1 y x"]
    ids: Int[Tensor, " m"]


def word_velocity(data: WordData, schedule: Schedule, batches: Batches, *, seed: int = 0) -> Loss[UNet2DConditionModel]:
    """Squared error of v = alpha noise - sigma clean, with the tokens of a caption of the picture, or of no words.

    batches: of images; depth is softened, captions are dropped and noise levels are drawn as for the other generators.
    """
    sigmas, at_levels = schedule.sigmas.numpy(), schedule.sigmas.float()
    sizes = np.array([len(cache) for cache in data.caches], dtype=float)

    def loss(network: UNet2DConditionModel, share: BatchShard) -> LossOutput:
        began, device = time.perf_counter(), device_of(network)
        which = int(step_rng(seed, share.step).choice(len(sizes), p=sizes / sizes.sum()))
        rows = [
            _drawn(row_rng(seed, share.step, row), data, which, batches, sigmas) for row in share.rows(batches.images)
        ]
        waited = time.perf_counter() - began
        clean, noise, level, depth, ids = (torch.stack(column).to(device) for column in zip(*rows, strict=True))
        tokens = _tokens(data.text.to(device), ids)
        sigma = rearrange(at_levels.to(device)[level], "b -> b 1 1 1")
        noisy = scale_input(clean + sigma * noise, sigma)
        answer = network(
            torch.cat([noisy, depth], dim=1), level.float(), encoder_hidden_states=tokens, return_dict=False
        )
        errors = reduce(
            (answer[0].float() - target(Prediction.VELOCITY, clean, noise, sigma)).square(), "b c y x -> b", "mean"
        )
        return LossOutput(mean=errors.mean(), rows=errors.detach(), levels=(level / len(sigmas)).float(), waited=waited)

    return loss


@torch.no_grad()
def _tokens(text: nn.Module, ids: Int[Tensor, "b m"]) -> Float[Tensor, "b m d"]:
    return text(ids).last_hidden_state.float()


# Cached tensors are fp16, which autocast on CPUs does not support; and conditions should not be rounded.
@torch.autocast("cpu", enabled=False)
def _drawn(rng: np.random.Generator, data: WordData, which: int, batches: Batches, sigmas: np.ndarray) -> WordRow:
    cache, ids = data.caches[which], data.ids[which]
    clip = int(rng.integers(len(cache)))
    frame = int(rng.integers(cache.latents.shape[1]))
    clean = cache.latents[clip, frame].float()
    soft = cache.depth.shape[1] > 1 and rng.random() < batches.structure_blur_prob
    depth = cache.depth[clip, int(rng.integers(1, cache.depth.shape[1])) if soft else 0, frame]
    words = ids[clip, int(rng.integers(ids.shape[1]))]
    return WordRow(
        clean=clean,
        noise=normal_noise(rng, clean.shape),
        level=torch.tensor(drawn_level(rng, sigmas, batches.lognormal_prob)),
        depth=depth[None].float(),
        ids=words if rng.random() >= batches.cond_drop_prob else data.empty,
    )
