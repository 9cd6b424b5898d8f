"""Attention over time in which no frame sees a later one: the causal mask of Make-Your-Video."""

from diffusers.models.attention_processor import Attention
from jaxtyping import Float
from torch import Tensor, nn

from recast.errors import BackboneError
from recast.networks.hooks import heads_split, no_later


class CausalAttnProcessor:
    """Self-attention whose queries take no key behind their own place. arXiv:2306.00943, section 3.3.

    Products are written out, since a fused kernel's backward pass is several times slower on processors.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Float[Tensor, "b n c"],
        encoder_hidden_states: Float[Tensor, "b n c"] | None = None,
        attention_mask: Tensor | None = None,
    ) -> Float[Tensor, "b n c"]:
        """The layer's answer, as diffusers asks for it."""
        if attention_mask is not None or encoder_hidden_states is not None:
            raise BackboneError(
                "causal attention is of a clip's frames among themselves; give it neither mask nor tokens"
            )
        q, k, v = (heads_split(to(hidden_states), attn.heads) for to in (attn.to_q, attn.to_k, attn.to_v))
        scores = (q @ k.mT).float() * attn.scale
        answer = (scores + no_later(scores)).softmax(-1).to(v.dtype) @ v
        projection, dropout = attn.to_out or (nn.Identity(), nn.Identity())
        return dropout(projection(answer.transpose(1, 2).flatten(2)))
