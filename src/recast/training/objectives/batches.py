"""Batches of the generator: noise level, noise and conditions of each row, drawn from the row's own generator."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import torch
from einops import repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recast.conditions.detail import detail_channels
from recast.data.examples import Example
from recast.engine.rng import normal_noise

Sigmas = Float[np.ndarray, " levels"]
"""Ascending noise levels; each row uses one."""
MIDDLE, SPREAD = 0.6, 1.2
"""Log-normal distribution of sigma, for latents of unit variance: median, and standard deviation of the logarithm."""


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Composition of batches.

    images, clips: how many there are in a batch of each kind; clips = 0 trains on images alone. frames: of a clip.
    image_steps: share of the steps that see images where there are clips too (arXiv:2302.03011, section 3.4).
    structure_blur_prob: share of the examples whose structure is softened, t_s > 0. structure_drop_prob: share of rows
    without structure, whose channels are 0, as no t_s has them; eq. 8 keeps structure in every branch, so that the
    paper drops none. cond_drop_prob: share of rows without content. embedding_noise: length of the noise laid on
    content embeddings of length 1, as a prior's answers are never quite a picture's own; 0 takes embeddings as they
    are. lognormal_prob: share of the rows whose noise level is drawn about sigma = .6 instead of uniformly, where
    details are made (arXiv:2206.00364, table 1); of Stable Diffusion's levels half lie above 1.6, where little of a
    small latent is left (arXiv:2301.10972).
    """

    images: int = 64
    clips: int = 0
    frames: int = 8
    image_steps: float = 0.125
    structure_blur_prob: float = 0.6
    cond_drop_prob: float = 0.1
    embedding_noise: float = 0.0
    lognormal_prob: float = 0.0
    structure_drop_prob: float = 0.0

    def is_video(self, rng: np.random.Generator) -> bool:
        """Whether a step has a batch of clips, else of images."""
        return self.clips > 0 and bool(rng.random() >= self.image_steps)


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a batch: clean latents, noise and its level, and conditions.

    conditioned: False for null content. structured: False where the structure is 0.
    """

    clean: Float[Tensor, "t 4 y x"]
    noise: Float[Tensor, "t 4 y x"]
    level: int
    structure: Float[Tensor, "t 8 y x"]
    content: Float[Tensor, " d"]
    conditioned: bool
    structured: bool

    @classmethod
    def drawn(cls, rng: np.random.Generator, whole: Example, batches: Batches, sigmas: Sigmas, *, video: bool) -> "Row":
        """Draws a row: a clip of the example or one frame, with the content embedding of a random frame."""
        content = _content(rng, whole.embeddings, batches.embedding_noise)
        example = _span(rng, whole, batches.frames if video else 1)
        clean = example.latents(normal_noise(rng, example.structure.shape[1:]))
        noise, level = normal_noise(rng, clean.shape), drawn_level(rng, sigmas, batches.lognormal_prob)
        structure = _structure(rng, example, batches.structure_blur_prob)
        conditioned = bool(rng.random() >= batches.cond_drop_prob)
        structured = not batches.structure_drop_prob or bool(rng.random() >= batches.structure_drop_prob)
        kept = structure if structured else torch.zeros_like(structure)
        return cls(clean, noise, level, kept, content, conditioned, structured)


@dataclass(frozen=True, eq=False)
class Batch:
    """Stacked rows of one shape, on one device."""

    clean: Float[Tensor, "b t 4 y x"]
    noise: Float[Tensor, "b t 4 y x"]
    level: Int[Tensor, " b"]
    structure: Float[Tensor, "b t 8 y x"]
    content: Float[Tensor, "b d"]
    conditioned: Bool[Tensor, " b"]
    structured: Bool[Tensor, " b"]

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device) -> "Batch":
        """Stacks rows on a device."""
        return cls(
            clean=torch.stack([row.clean for row in rows]).to(device),
            noise=torch.stack([row.noise for row in rows]).to(device),
            level=torch.tensor([row.level for row in rows], device=device),
            structure=torch.stack([row.structure for row in rows]).to(device),
            content=torch.stack([row.content for row in rows]).to(device),
            conditioned=torch.tensor([row.conditioned for row in rows], device=device),
            structured=torch.tensor([row.structured for row in rows], device=device),
        )

    def only(self, rows: list[int]) -> "Batch":
        """Some of the rows."""
        return replace(self, **{each.name: getattr(self, each.name)[rows] for each in fields(self)})


def _span(rng: np.random.Generator, whole: Example, frames: int) -> Example:
    first = int(rng.integers(len(whole.moments) - frames + 1))
    span = slice(first, first + frames)
    return replace(
        whole, moments=whole.moments[span], structure=whole.structure[:, span], embeddings=whole.embeddings[span]
    )


def drawn_level(rng: np.random.Generator, sigmas: Sigmas, lognormal_prob: float) -> int:
    """The number of a row's noise level; see `Batches.lognormal_prob`."""
    if not lognormal_prob or rng.random() >= lognormal_prob:
        return int(rng.integers(len(sigmas)))
    drawn = MIDDLE * np.exp(SPREAD * rng.standard_normal())
    return min(int(np.searchsorted(sigmas, drawn)), len(sigmas) - 1)


def _content(rng: np.random.Generator, embeddings: Float[Tensor, "t d"], embedding_noise: float) -> Float[Tensor, " d"]:
    content = embeddings[int(rng.integers(len(embeddings)))].float()
    if not embedding_noise:
        return content
    blur = normal_noise(rng, content.shape) * float(rng.random())
    return torch.nn.functional.normalize(content + embedding_noise * blur / len(content) ** 0.5, dim=-1)


def _structure(rng: np.random.Generator, example: Example, blur_prob: float) -> Float[Tensor, "t 8 y x"]:
    """Structure latents at one of the example's t_s, and the channels that embed it."""
    soft = len(example.levels) > 1 and rng.random() < blur_prob
    which = int(rng.integers(1, len(example.levels))) if soft else 0
    latents = example.structure[which].float()
    detail = _detail_channels(float(example.levels[which]), (latents.shape[-2], latents.shape[-1]))
    return torch.cat([latents, repeat(detail, "c y x -> t c y x", t=len(latents))], dim=1)


_detail_channels = lru_cache(maxsize=256)(detail_channels)
