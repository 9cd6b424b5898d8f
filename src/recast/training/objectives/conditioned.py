"""Loss of a video network of words and further conditions, some of them dropped in each row."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from recast.conditions.depth import depth_channel
from recast.conditions.detail import softened
from recast.data.video_cache import VideoCache
from recast.diffusion.parameterization import Prediction, scale_input, target
from recast.diffusion.schedule import Schedule
from recast.engine.config import BatchShard, Loss, LossOutput
from recast.engine.rng import device_of, normal_noise, row_rng, step_rng
from recast.networks.conditioned import DEPTH, FRAME, PICTURE, ConditionedVideo
from recast.training.objectives.batches import drawn_level
from recast.training.objectives.diffusion import row_errors
from recast.types import Kind

NEVER_DROPPED = frozenset({DEPTH})
"""What an image network reads that never was without it."""
MOST_BLUR = 7
"""Of depth, t_s."""
WORDS = "words"
"""Name of words beside those of conditions, of which some are dropped."""


@dataclass(frozen=True, eq=False)
class VideoData:
    """Clips and how their captions are read.

    caches: of clips. ids: token ids of each cache's captions. text: the frozen text encoder. empty: ids of no words.
    """

    caches: Sequence[VideoCache]
    ids: Sequence[Int[Tensor, "n k m"]]
    text: nn.Module
    empty: Int[Tensor, " m"]


@dataclass(frozen=True, kw_only=True)
class VideoBatches:
    """Composition of batches of clips, or of images, which are clips of one frame.

    clips: rows a step. frames: of each. all_drop_prob: share of rows without any, not even words;
    all_keep_prob: share with all. In the others words are dropped with cond_drop_prob, and each condition by
    itself with condition_drop_prob; depth as an input channel never is. structure_blur_prob, lognormal_prob: see
    `Batches`.
    """

    clips: int = 8
    frames: int = 8
    all_drop_prob: float = 0.0
    all_keep_prob: float = 0.0
    cond_drop_prob: float = 0.1
    condition_drop_prob: float = 0.0
    structure_blur_prob: float = 0.3
    lognormal_prob: float = 0.5


class VideoRow(NamedTuple):
    """One row of a batch: clean latents, noise and its level, ids of a caption, conditions, and how much of each."""

    clean: Float[Tensor, "t 4 y x"]
    noise: Float[Tensor, "t 4 y x"]
    level: int
    ids: Int[Tensor, " m"]
    conditions: Mapping[str, Tensor]
    kept: Mapping[str, float]


class VideoBatch(NamedTuple):
    """Rows of one shape, stacked on one device."""

    clean: Float[Tensor, "b t 4 y x"]
    noise: Float[Tensor, "b t 4 y x"]
    level: Int[Tensor, " b"]
    ids: Int[Tensor, "b m"]
    conditions: Mapping[str, Float[Tensor, "b ..."]]
    kept: Mapping[str, Float[Tensor, " b"]]


def conditioned_velocity(
    data: VideoData,
    schedule: Schedule,
    batches: VideoBatches,
    reads: Sequence[str],
    *,
    temporal_weight: float = 0.0,
    seed: int = 0,
) -> Loss[ConditionedVideo]:
    """Squared error of v = alpha noise - sigma clean, with words and conditions of which some are dropped.

    reads: names of conditions. temporal_weight: of the squared difference of the error between neighbouring frames:
    the inter-frame consistency loss of InstructVid2Vid (arXiv:2305.12328, section 3.3), of latents where the paper has
    pictures.
    """
    sigmas, at_levels = schedule.sigmas.numpy(), schedule.sigmas.float()
    sizes = np.array([len(cache) for cache in data.caches], dtype=float)

    def loss(network: ConditionedVideo, share: BatchShard) -> LossOutput:
        began, device = time.perf_counter(), device_of(network)
        which = int(step_rng(seed, share.step).choice(len(sizes), p=sizes / sizes.sum()))
        drawing = _Drawing(data.caches[which], data.ids[which], data.empty, batches, reads, sigmas)
        rows = [drawing.row(row_rng(seed, share.step, row)) for row in share.rows(batches.clips)]
        waited = time.perf_counter() - began
        batch = _stacked(rows, reads, device)
        tokens = _tokens(data.text.to(device), torch.cat([batch.ids, data.empty[None].to(device)]))
        sigma = rearrange(at_levels.to(device)[batch.level], "b -> b 1 1 1 1")
        noisy, level = scale_input(batch.clean + sigma * batch.noise, sigma), batch.level.float()
        answer = network(noisy, level, tokens[:-1], empty=tokens[-1], conditions=batch.conditions, kept=batch.kept)
        off = answer.float() - target(Prediction.VELOCITY, batch.clean, batch.noise, sigma)
        errors, weighed = row_errors(off, temporal_weight if batches.frames > 1 else 0.0)
        return LossOutput(mean=weighed.mean(), rows=errors.detach(), levels=level / len(sigmas), waited=waited)

    return loss


def _stacked(rows: Sequence[VideoRow], reads: Sequence[str], device: torch.device) -> VideoBatch:
    clean, noise, ids = (
        torch.stack([getattr(row, name) for row in rows]).to(device) for name in ("clean", "noise", "ids")
    )
    level = torch.tensor([row.level for row in rows], device=device)
    conditions = {name: torch.stack([row.conditions[name] for row in rows]).to(device) for name in reads}
    kept = {name: torch.tensor([row.kept[name] for row in rows], device=device) for name in reads}
    return VideoBatch(clean, noise, level, ids, conditions, kept)


@torch.no_grad()
def _tokens(text: nn.Module, ids: Int[Tensor, "b m"]) -> Float[Tensor, "b m d"]:
    return text(ids).last_hidden_state.float()


@dataclass(frozen=True, eq=False)
class _Drawing:
    """What rows of a step are drawn from. cache, ids: of the clips of the step. reads: names of conditions."""

    cache: VideoCache
    ids: Int[Tensor, "n k m"]
    empty: Int[Tensor, " m"]
    batches: VideoBatches
    reads: Sequence[str]
    sigmas: Float[np.ndarray, " levels"]

    # Cached tensors are fp16, which autocast on CPUs does not support; and conditions should not be rounded.
    @torch.autocast("cpu", enabled=False)
    def row(self, rng: np.random.Generator) -> VideoRow:
        """A stretch of a clip, with one of its captions."""
        clip = int(rng.integers(len(self.cache)))
        first = int(rng.integers(self.cache.frames - self.batches.frames + 1))
        span = slice(first, first + self.batches.frames)
        clean = self.cache.clean(clip, span)
        words = self.ids[clip, int(rng.integers(self.ids.shape[1]))]
        kept = _kept(rng, self.batches, self.reads)
        return VideoRow(
            clean=clean,
            noise=normal_noise(rng, clean.shape),
            level=drawn_level(rng, self.sigmas, self.batches.lognormal_prob),
            ids=words if kept.pop(WORDS) else self.empty,
            conditions={name: self._condition(rng, name, clip, span) for name in self.reads},
            kept=kept,
        )

    def _condition(self, rng: np.random.Generator, name: str, clip: int, span: slice) -> Tensor:
        if name == FRAME:
            return self.cache.clean(clip, span)[self.batches.frames // 2]
        held = self.cache.condition(Kind.DEPTH if name == DEPTH else name, clip, span)
        if name == PICTURE:
            return held[int(rng.integers(len(held)))]
        if name not in (DEPTH, Kind.DEPTH):
            return held
        blurred = rng.random() < self.batches.structure_blur_prob
        maps = softened(held, float(rng.integers(1, MOST_BLUR))) if blurred else held
        size = self.cache.latents.shape[-2], self.cache.latents.shape[-1]
        return depth_channel(maps, size) if name == DEPTH else maps


def _kept(rng: np.random.Generator, batches: VideoBatches, reads: Sequence[str]) -> dict[str, float]:
    """How much of words and of each condition a row keeps: 1 all of it, 0 nothing."""
    names, drawn = (WORDS, *reads), rng.random()
    chances = rng.random(len(names))
    if drawn < batches.all_drop_prob:
        kept = dict.fromkeys(names, 0.0)
    elif drawn < batches.all_drop_prob + batches.all_keep_prob:
        kept = dict.fromkeys(names, 1.0)
    else:
        shares = [batches.cond_drop_prob] + [batches.condition_drop_prob] * len(reads)
        kept = {name: float(one >= share) for name, one, share in zip(names, chances, shares, strict=True)}
    return kept | dict.fromkeys(NEVER_DROPPED & {*reads}, 1.0)
