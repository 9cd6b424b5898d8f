"""How well a network's cross-attention maps find what their word names."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.conditions.content import ContentInput
from recast.denoising import Branch
from recast.errors import BackboneError
from recast.evaluation.metrics.fidelity import nearness
from recast.networks.hooks import SiteKind
from recast.networks.recorded_attention import RecordAttention
from recast.types import Condition, Frames, Latents, Structure

SIGMAS = (0.5, 1.0, 2.0)
"""Noise levels that maps are averaged over: at them shapes are seen, and not yet all details."""


@torch.no_grad()
def word_map(
    backbone: Backbone, frames: Frames, structure: Structure, prompt: ContentInput, word: str, *, seed: int = 0
) -> Float[Tensor, "t h w"]:
    """How much each pixel attends to a word of the prompt, where the network denoises the frames with noise added.

    The mean over layers, heads, noise levels and the word's tokens, each map brought to the frames' size (DAAM,
    arXiv:2210.04885, section 3). Raises BackboneError for a network that reads no words, RequestError where the prompt
    does not have that one.
    """
    words = backbone.prompt_tokens([prompt])
    if words is None:
        raise BackboneError("the network reads no words, so it has no maps of them; take one of Stable Diffusion")
    clean = backbone.encode(frames)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)).to(clean)
    condition = _condition(backbone, structure, prompt)
    record = RecordAttention(parts=("probabilities",), kinds=frozenset({SiteKind.CROSS}))
    with backbone.hooked(record):
        for sigma in SIGMAS:
            branch = Branch(condition.cond, temporal=False)
            backbone.denoise_branches(clean + sigma * noise, sigma, condition, [branch])
    found = [_upsampled(kept, words.of_word(word), clean, frames) for kept in _kept(record)]
    return torch.stack(found).mean(0)


def word_map_score(found: Float[Tensor, "t h w"], masks: Bool[Tensor, "t h w"]) -> float:
    """The chance that a pixel of the word's thing has more of its map than one of all else: mean over frames."""
    scores = [nearness(each, mask, ~mask) for each, mask in zip(found, masks, strict=True) if mask.any()]
    return sum(scores) / len(scores)


def _condition(backbone: Backbone, structure: Structure, prompt: ContentInput) -> Condition:
    tokens = backbone.encode_content([prompt])
    channels = backbone.structure_channels(structure) if structure.kind in backbone.structure_kinds else None
    return Condition(tokens, backbone.null_tokens(), channels)


def _kept(record: RecordAttention) -> Sequence[Float[Tensor, "t heads n m"]]:
    return [parts["probabilities"] for windows in record.calls.values() for parts in windows.values()]


def _upsampled(
    probabilities: Float[Tensor, "t heads n m"], places: tuple[int, ...], clean: Latents, frames: Frames
) -> Float[Tensor, "t h w"]:
    """One layer's map of a word at the frames' size; its places form a grid as tall to wide as the latents."""
    share = (probabilities.shape[2] / (clean.shape[-2] * clean.shape[-1])) ** 0.5
    grid = (round(clean.shape[-2] * share), round(clean.shape[-1] * share))
    maps = probabilities[..., list(places)].float().mean(dim=(1, 3)).unflatten(1, grid)
    return F.interpolate(maps[:, None], frames.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
