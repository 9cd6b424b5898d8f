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
from recast.diffusion import betas
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.types import Embedding

Batch = Float[Tensor, "b d"]


@dataclass(frozen=True)
class PriorSchedule:
    """The noise schedule of a prior, from its scheduler's configuration.

    num_train: timesteps. clip: clean embeddings are clamped to +-clip; 5 for Karlo. ancestral: whether it is walked
    with fresh noise between the steps, as Karlo is published (`unclip`), else by `ddim`.
    """

    num_train: int = 1000
    clip: float = math.inf
    ancestral: bool = False

    def alpha_bars(self) -> Float[Tensor, " n"]:
        """The share of signal in the variance at each level, in fp64: squaredcos_cap_v2 (arXiv:2102.09672, eq. 17)."""
        return betas.alpha_bars({"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": self.num_train})


@dataclass(frozen=True, eq=False)
class Prior:
    """A trained `PriorTransformer` with the text encoder that it is conditioned on.

    scale: classifier-free guidance away from the empty prompt; 1 is none. steps: of the walk. num_samples: embeddings
    sampled, of which the one nearest to the text embedding is kept, as DALL-E 2 does with two.
    """

    network: nn.Module
    text: TextEncoder
    schedule: PriorSchedule
    scale: float
    device: torch.device
    steps: int = 25
    num_samples: int = 4

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device) -> "Prior":
        """The prior of a model. Raises WeightsError where a part is missing or damaged, or where parts do not fit."""
        from diffusers.models.transformers.prior_transformer import PriorTransformer

        network, text = folder.network("prior", PriorTransformer).to(device), TextEncoder.opened(folder, device)
        _check_fit(network, text, folder)
        return cls(network, text, _schedule(folder), folder.metadata.prior_scale, device)

    @torch.no_grad()
    def __call__(self, text: str, seed: int, /) -> Embedding:
        """A sampled embedding of a picture that fits the text. Raises RequestError for too many tokens."""
        cond, uncond = self.text(text), self.text("")
        rng = torch.Generator().manual_seed(seed)
        # One sample at a time, so that the first n of more samples are the same as n samples.
        width, noises = self.network.config.embedding_dim, self.steps if self.schedule.ancestral else 1
        samples = [
            torch.stack([torch.randn(width, generator=rng) for _ in range(noises)]) for _ in range(self.num_samples)
        ]
        start, fresh = torch.stack(samples, dim=1).to(self.device).split([1, noises - 1])

        def clean(x: Batch, timestep: int) -> Batch:
            if self.scale == 1:
                return self._guess(x, timestep, cond)
            unguided = self._guess(x, timestep, uncond)
            return unguided + self.scale * (self._guess(x, timestep, cond) - unguided)

        if self.schedule.ancestral:
            walked = unclip(clean, start[0], self.schedule, fresh)
        else:
            walked = ddim(clean, start[0], self.schedule, self.steps)
        return nearest(self.network.post_process_latents(walked), cond.pooled).cpu()

    def _guess(self, x: Batch, timestep: int, text: TextFeatures) -> Batch:
        rows = len(x)
        return self.network(
            x,
            timestep=timestep,
            proj_embedding=text.pooled.expand(rows, -1),
            encoder_hidden_states=text.hidden.expand(rows, -1, -1),
            attention_mask=text.mask.expand(rows, -1),
        ).predicted_image_embedding


def ddim(clean: Callable[[Batch, int], Batch], x: Batch, schedule: PriorSchedule, steps: int) -> Batch:
    """Samples embeddings from noise `x` by DDIM (arXiv:2010.02502, eq. 12, eta = 0).

    clean: predicts clean embeddings from noisy ones and their timestep. Timesteps are spaced from the last one down
    ("trailing", arXiv:2305.08891), so that sampling starts at pure noise. It is
    `recast.diffusion.samplers.ddim` for vectors, with the clamp of clean embeddings that priors such as Karlo's need.
    """
    alpha_bars = schedule.alpha_bars()
    timesteps = [round(schedule.num_train * (1 - i / steps)) - 1 for i in range(steps)]
    for timestep, next_timestep in pairwise([*timesteps, -1]):
        now = float(alpha_bars[timestep])
        then = float(alpha_bars[next_timestep]) if next_timestep >= 0 else 1.0
        guess = clean(x, timestep).clamp(-schedule.clip, schedule.clip)
        noise = (x - math.sqrt(now) * guess) / math.sqrt(1 - now)
        x = math.sqrt(then) * guess + math.sqrt(1 - then) * noise
    return x


def unclip(
    clean: Callable[[Batch, int], Batch], x: Batch, schedule: PriorSchedule, fresh: Float[Tensor, "steps b d"]
) -> Batch:
    """Samples embeddings from noise `x` as Karlo does: ancestral sampling (arXiv:2006.11239, eq. 7) over fewer steps.

    clean: as for `ddim`. fresh: noise for each step but the last, so there is one step more, and at least two.
    Timesteps are evenly spaced from the last one to 0, both included. It equals diffusers' `UnCLIPScheduler`.
    """
    alpha_bars, steps = schedule.alpha_bars(), len(fresh) + 1
    timesteps = [round(i * (schedule.num_train - 1) / (steps - 1)) for i in reversed(range(steps))]
    for step, (timestep, next_timestep) in enumerate(pairwise([*timesteps, -1])):
        now = float(alpha_bars[timestep])
        then = float(alpha_bars[next_timestep]) if next_timestep >= 0 else 1.0
        guess, kept = clean(x, timestep).clamp(-schedule.clip, schedule.clip), now / then
        x = (math.sqrt(then) * (1 - kept) * guess + math.sqrt(kept) * (1 - then) * x) / (1 - now)
        if next_timestep >= 0:
            x = x + math.sqrt((1 - then) / (1 - now) * (1 - kept)) * fresh[step]
    return x


def nearest(drawn: Batch, to: Embedding) -> Embedding:
    """The embedding of the batch with the largest cosine similarity to `to`."""
    return drawn[F.cosine_similarity(drawn, to[None]).argmax()]


def _check_fit(network: nn.Module, text: TextEncoder, folder: ModelFolder) -> None:
    expected = (network.config.num_embeddings, network.config.embedding_dim)
    given = (text.max_tokens + 2, text.network.config.hidden_size)
    if expected != given:
        reads = f"the prior takes {expected[0]} tokens of {expected[1]} features"
        wrong = f"{reads}, the text encoder gives {given[0]} of {given[1]}"
        raise WeightsError(f"{wrong}: they are of different models; {folder.path}")


def _schedule(folder: ModelFolder) -> PriorSchedule:
    if not folder.has("prior_scheduler"):
        return PriorSchedule()
    config = json.loads((folder.component("prior_scheduler") / "scheduler_config.json").read_text("utf-8"))
    clip = config.get("clip_sample_range", 1.0) if config.get("clip_sample", False) else math.inf
    kind = (config.get("beta_schedule", "squaredcos_cap_v2"), config.get("prediction_type", "sample"))
    if kind != ("squaredcos_cap_v2", "sample"):
        raise WeightsError(
            f"the prior's levels are {kind[0]} and it predicts {kind[1]}; it must be squaredcos_cap_v2 and sample"
        )
    return PriorSchedule(
        config.get("num_train_timesteps", 1000), clip, ancestral=config.get("_class_name") == "UnCLIPScheduler"
    )
