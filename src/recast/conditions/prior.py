"""Text to CLIP image embeddings: the diffusion prior of DALL-E 2 (arXiv:2204.06125, section 2.2)."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recast.conditions.text import TextEncoder, TextFeatures
from recast.diffusion.schedule import alpha_bars
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.types import Embedding

Batch = Float[Tensor, "b d"]


@dataclass(frozen=True)
class PriorLevels:
    """The noise schedule of a prior, from its scheduler's configuration.

    num_train: timesteps. clip: clean embeddings are clamped to +-clip; 5 for Karlo.
    """

    num_train: int = 1000
    clip: float = math.inf

    def signal(self) -> Float[Tensor, " n"]:
        """The share of signal in the variance at each level, in fp64: squaredcos_cap_v2 (arXiv:2102.09672, eq. 17)."""
        return alpha_bars({"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": self.num_train})


@dataclass(frozen=True, eq=False)
class Prior:
    """A trained `PriorTransformer` with the text encoder that it is conditioned on.

    scale: classifier-free guidance away from the empty prompt; 1 is none. steps: of DDIM. draws: embeddings sampled, of
    which the one nearest to the text embedding is kept, as DALL-E 2 does with two.
    """

    network: nn.Module
    text: TextEncoder
    levels: PriorLevels
    scale: float
    device: torch.device
    steps: int = 25
    draws: int = 4

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device) -> "Prior":
        """The prior of a model. Raises WeightsError where a part is missing or damaged, or where parts do not fit."""
        from diffusers.models.transformers.prior_transformer import PriorTransformer

        network, text = folder.network("prior", PriorTransformer).to(device), TextEncoder.opened(folder, device)
        _check_fit(network, text, folder)
        return cls(network, text, _levels(folder), folder.metadata.prior_scale, device)

    @torch.no_grad()
    def __call__(self, text: str, seed: int, /) -> Embedding:
        """A sampled embedding of a picture that fits the text. Raises RequestError for too many tokens."""
        wanted, unwanted = self.text(text), self.text("")
        rng = torch.Generator().manual_seed(seed)
        # One sample at a time, so that the first n of more draws are the same as n draws.
        noise = torch.stack([torch.randn(self.network.config.embedding_dim, generator=rng) for _ in range(self.draws)])
        start = noise.to(self.device)

        def clean(x: Batch, level: int) -> Batch:
            if self.scale == 1:
                return self._guess(x, level, wanted)
            away = self._guess(x, level, unwanted)
            return away + self.scale * (self._guess(x, level, wanted) - away)

        drawn = self.network.post_process_latents(ddim(clean, start, self.levels, self.steps))
        return nearest(drawn, wanted.pooled).cpu()

    def _guess(self, x: Batch, level: int, told: TextFeatures) -> Batch:
        rows = len(x)
        return self.network(
            x,
            timestep=level,
            proj_embedding=told.pooled.expand(rows, -1),
            encoder_hidden_states=told.hidden.expand(rows, -1, -1),
            attention_mask=told.mask.expand(rows, -1),
        ).predicted_image_embedding


def ddim(clean: Callable[[Batch, int], Batch], x: Batch, levels: PriorLevels, steps: int) -> Batch:
    """Samples embeddings from noise `x` by DDIM (arXiv:2010.02502, eq. 12, eta = 0).

    clean: predicts clean embeddings from noisy ones and their timestep. Timesteps are spaced from the last one down
    ("trailing", arXiv:2305.08891), so that sampling starts at pure noise.
    """
    signal = levels.signal()
    walk = [round(levels.num_train * (1 - i / steps)) - 1 for i in range(steps)]
    for level, below in pairwise([*walk, -1]):
        now, then = float(signal[level]), float(signal[below]) if below >= 0 else 1.0
        guess = clean(x, level).clamp(-levels.clip, levels.clip)
        noise = (x - math.sqrt(now) * guess) / math.sqrt(1 - now)
        x = math.sqrt(then) * guess + math.sqrt(1 - then) * noise
    return x


def nearest(drawn: Batch, to: Embedding) -> Embedding:
    """The embedding of the batch with the largest cosine similarity to `to`."""
    return drawn[F.cosine_similarity(drawn, to[None]).argmax()]


def _check_fit(network: nn.Module, text: TextEncoder, folder: ModelFolder) -> None:
    takes = (network.config.num_embeddings, network.config.embedding_dim)
    gives = (text.max_tokens + 2, text.network.config.hidden_size)
    if takes != gives:
        wrong = (
            f"the prior takes {takes[0]} tokens of {takes[1]} features, the text encoder gives {gives[0]} of {gives[1]}"
        )
        raise WeightsError(f"{wrong}: they are of different models; {folder.path}")


def _levels(folder: ModelFolder) -> PriorLevels:
    if not folder.has("prior_scheduler"):
        return PriorLevels()
    said = json.loads((folder.component("prior_scheduler") / "scheduler_config.json").read_text("utf-8"))
    clip = said.get("clip_sample_range", 1.0) if said.get("clip_sample", False) else math.inf
    kind = (said.get("beta_schedule", "squaredcos_cap_v2"), said.get("prediction_type", "sample"))
    if kind != ("squaredcos_cap_v2", "sample"):
        raise WeightsError(
            f"the prior's levels are {kind[0]} and it predicts {kind[1]}; it must be squaredcos_cap_v2 and sample"
        )
    return PriorLevels(said.get("num_train_timesteps", 1000), clip)
