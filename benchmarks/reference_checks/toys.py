"""Small networks that stand on both sides: an attention layer with published names, and a denoiser in closed form."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor
from torch import Tensor

from recast.denoising import Branch, DenoiseInputs
from recast.diffusion.parameterization import Prediction, clean_from, scale_input
from recast.diffusion.samplers import ddim
from recast.networks.attention_kernels import kernel
from recast.networks.hooks import AttentionCall, AttentionHook, Hook, SiteKind
from recast.networks.sites import AttentionSite
from recast.types import Clip, Condition, Frames, Latents, Tokens

SITE = "up_blocks.1.attentions.1.transformer_blocks.0.attn1"
CHANNELS, SIDE = 4, 8


def rng(seed: int = 0) -> torch.Generator:
    """Random numbers of a check."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in double precision."""
    return torch.randn(shape, generator=rng(seed), dtype=torch.float64)


class PublishedAttention(Attention):
    """diffusers' layer, with what older versions of it were called too."""

    _slice_size = None
    _use_memory_efficient_attention_xformers = False
    added_kv_proj_dim = None
    reshape_heads_to_batch_dim = Attention.head_to_batch_dim
    reshape_batch_dim_to_heads = Attention.batch_to_head_dim

    def _attention(self, query: Tensor, key: Tensor, value: Tensor, attention_mask: None = None) -> Tensor:
        probabilities = self.get_attention_scores(query, key, attention_mask)
        return self.batch_to_head_dim(probabilities @ value)


def attention_layer(kind: type[Attention] = PublishedAttention, *, project: bool = True) -> Attention:
    """A layer of two heads and eight features with random weights, in double precision.

    project: False makes its output projection the identity.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = kind(8, heads=2, dim_head=4, processor=AttnProcessor()).double().eval().requires_grad_(False)
    for each in (layer.to_q, layer.to_k, layer.to_v):
        each.weight *= 2  # so that maps are far from even
    if not project:
        layer.to_out[0].weight.copy_(torch.eye(8))
        layer.to_out[0].bias.zero_()
    return layer


def attended(
    layer: Attention,
    hidden: Tensor,
    *hooks: AttentionHook,
    tokens: Tensor | None = None,
    **facts: object,
) -> Tensor:
    """Our answer of a layer, its output projection included, with hooks in force, outermost first.

    facts: of the call; frames are numbered from 0 unless they say otherwise.
    """
    kind = SiteKind.SELF if tokens is None else SiteKind.CROSS
    site = AttentionSite(SITE, kind, layer, "up_blocks.1.attentions.1")
    context = hidden if tokens is None else tokens
    side = round(hidden.shape[1] ** 0.5)
    usual = {"sigma": 1.0, "branch": 0, "frames": tuple(range(len(hidden)))}
    parts = hidden, layer.to_q(hidden), layer.to_k(context), layer.to_v(context)
    call = AttentionCall(SITE, kind, (side, side), layer.heads, *parts, scale=layer.scale, **(usual | facts))
    attend = kernel(site)
    for hook in reversed(hooks):
        attend = partial(_by, hook, attend)
    return layer.to_out[0](attend(call))


def _by(hook: AttentionHook, attend: object, call: AttentionCall) -> Tensor:
    return hook(call, attend)


def network(x: Latents, share: float, tokens: Tokens) -> Latents:
    """What a network might answer to mixed latents, a share of noise 0..1, and one token as wide as the channels."""
    content = tokens.mean(-2)[..., None, None]
    turned = torch.roll(x, 1, dims=-1) - 0.5 * torch.roll(x, 1, dims=-3)
    return torch.tanh(0.7 * x + 0.4 * turned + content) * (0.5 + share) + 0.3 * content * x


@dataclass(frozen=True, eq=False)
class ClosedFormBackbone:
    """A backbone whose denoiser is `network`, and whose autoencoder is a table of one entry: `source`."""

    source: Latents
    levels: list[float]
    prediction: Prediction
    temporal_stride: int = 1
    max_frames: int = 64
    hooks: list[Hook] = field(default_factory=list)
    """Those that were asked to be in force, in order."""

    def sigmas(self, _steps: int) -> list[float]:
        """The levels that it was made with."""
        return self.levels

    def encode(self, _frames: Frames) -> Latents:
        """The source."""
        return self.source

    def decode(self, latents: Latents) -> Frames:
        """Pixels that only serve to measure an inversion."""
        return (127.5 + 40 * latents[:, :3]).clamp(0, 255).to(torch.uint8)

    @staticmethod
    def answer(x: Latents, share: float, tokens: Tokens) -> Latents:
        """What its network answers to mixed latents."""
        return network(x, share, tokens)

    def hooked(self, *hooks: Hook) -> AbstractContextManager[None]:
        """Notes the hooks: there is no attention in it."""
        self.hooks.extend(hooks)
        return nullcontext()

    def denoise_branches(
        self, x: Latents, sigma: float, _condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """Clean latents by the network's answer."""
        mixed, share = scale_input(x, sigma, self.prediction), noise_share(self.prediction, sigma)
        answers = [self.answer(mixed, share, branch.tokens) for branch in branches]
        return [clean_from(self.prediction, answer, x, sigma) for answer in answers]


def noise_share(prediction: Prediction, sigma: float) -> float:
    """The noise's share in what the network sees: t of rectified flow, sqrt(1 - alpha_bar) else."""
    return sigma / (1 + sigma) if prediction is Prediction.FLOW else sigma / (1 + sigma**2) ** 0.5


def inputs(source: Latents, prompts: dict[str, Tokens], steps: int, cfg_scale: float) -> DenoiseInputs:
    """An edit of a clip that says nothing but its length. prompts: tokens of source, target and null."""
    clip = Clip(torch.zeros(len(source), 3, SIDE, SIDE, dtype=torch.uint8), Fraction(8))
    own, wanted = (Condition(cond=prompts[name], uncond=prompts["null"]) for name in ("source", "target"))
    return DenoiseInputs(clip=clip, condition=wanted, sampler=ddim, steps=steps, cfg_scale=cfg_scale, source=own)


def prompts() -> dict[str, Tokens]:
    """Tokens of three prompts, one each."""
    return {name: normal(1, CHANNELS, seed=10 + seed) for seed, name in enumerate(("source", "target", "null"))}
