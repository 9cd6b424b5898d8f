"""CLIP text features, the condition of the prior."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.types import Embedding, Tokens


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """CLIP features of a text.

    pooled: the projected embedding, in the space of image embeddings, not normalised. hidden: one feature per token.
    mask: true for text, start and end tokens, false for padding.
    """

    pooled: Embedding
    hidden: Tokens
    mask: Bool[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A CLIPTextModelWithProjection and the tokenizer that it was trained with."""

    network: nn.Module
    tokenizer: Any
    device: torch.device

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device) -> "TextEncoder":
        """The text encoder of a model. Raises WeightsError where the folder has none, or a damaged one."""
        from transformers import CLIPTextModelWithProjection, CLIPTokenizer

        network = folder.network("text_encoder", CLIPTextModelWithProjection).to(device)
        return cls(network, folder.part("tokenizer", CLIPTokenizer), device)

    @property
    def max_tokens(self) -> int:
        """Most tokens of a text, without the start and end tokens."""
        return self._max_tokens - 2

    @torch.no_grad()
    def __call__(self, text: str) -> TextFeatures:
        """The features of `text`. Raises RequestError for more tokens than the model reads: none is cut in silence."""
        read = tokenized(self.tokenizer, text, self._max_tokens)
        # No attention mask: CLIP's causal attention never lets a word see the padding, and CLIP was trained without.
        features = self.network(read["input_ids"].to(self.device))
        mask = read["attention_mask"][0].bool()
        return TextFeatures(
            features.text_embeds[0].float(), features.last_hidden_state[0].float(), mask.to(self.device)
        )

    @property
    def _max_tokens(self) -> int:
        return max_tokens(self.tokenizer, self.network)


def max_tokens(tokenizer: Any, network: nn.Module) -> int:  # noqa: ANN401 -- transformers' own type
    """The most tokens that a text encoder reads, both ends counted."""
    return min(tokenizer.model_max_length, network.config.max_position_embeddings)


def tokenized(tokenizer: Any, text: str, length: int) -> Mapping[str, Tensor]:  # noqa: ANN401 -- transformers' own type
    """`input_ids` and `attention_mask` of a text, padded to `length`, one row each.

    Raises RequestError for more tokens than that: none is cut in silence.
    """
    count = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    if count > length - 2:
        read = f"the words come to {count} tokens and the model reads {length - 2}"
        raise RequestError(f"{read}; leave out about {count - length + 2}: {text!r}")
    return tokenizer(text, padding="max_length", max_length=length, return_tensors="pt")
