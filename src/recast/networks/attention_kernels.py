"""How an attention layer answers a call by itself: as its diffusers processor would, bit for bit."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0
from einops import rearrange
from torch import Tensor

from recast.errors import BackboneError
from recast.networks.causal_attention import CausalAttnProcessor
from recast.networks.hooks import Attend, AttentionCall, heads_split
from recast.networks.image_prompt import ImagePromptProcessor
from recast.networks.sites import AttentionSite


def kernel(site: AttentionSite) -> Attend:
    """The layer's own way to attend. Raises BackboneError where it does more than the plain processors."""
    layer, own = site.layer, site.layer.processor
    processor = type(own.plain if isinstance(own, ImagePromptProcessor) else own)
    if processor not in KERNELS or layer.norm_q is not None or layer.norm_cross or layer.residual_connection:
        known = " and ".join(each.__name__ for each in KERNELS)
        wrong = f"{site.path} attends by {processor.__name__} in a way of its own, and hooks know plain {known}"
        raise BackboneError(f"{wrong}; set one of these processors first")
    return partial(KERNELS[processor], layer)


def _fused(layer: Attention, call: AttentionCall) -> Tensor:
    q, k, v = (heads_split(each, layer.heads) for each in (call.q, call.k, call.v))
    answer = F.scaled_dot_product_attention(q, k, v)
    return rearrange(answer, "b h n d -> b n (h d)").to(q.dtype)


def _unfused(layer: Attention, call: AttentionCall) -> Tensor:
    q, k, v = (layer.head_to_batch_dim(each) for each in (call.q, call.k, call.v))
    return layer.batch_to_head_dim(torch.bmm(layer.get_attention_scores(q, k), v))


def _causal(_layer: Attention, call: AttentionCall) -> Tensor:
    return call.weighted(call.probabilities())


KERNELS: dict[type, Callable[[Attention, AttentionCall], Tensor]] = {
    AttnProcessor: _unfused,
    AttnProcessor2_0: _fused,
    CausalAttnProcessor: _causal,
}
"""How a layer attends, by its processor."""
