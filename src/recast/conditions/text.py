"""Words as CLIP text features, which the prior turns into a picture's embedding."""

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
    """What CLIP makes of words.

    pooled: the projected embedding, in the space of pictures' embeddings, not normalised. hidden: one feature a token.
    mask: true for the tokens of the words and their two ends, false for padding.
    """

    pooled: Embedding
    hidden: Tokens
    mask: Bool[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """Words to features: a CLIPTextModelWithProjection and the tokenizer that it was trained with."""

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
        """The most tokens that words may come to, their two ends not counted."""
        return self._places - 2

    @torch.no_grad()
    def __call__(self, text: str) -> TextFeatures:
        """The features of `text`. Raises RequestError for more tokens than the model reads: none is cut in silence."""
        told = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if told > self.max_tokens:
            read = f"the words come to {told} tokens and the model reads {self.max_tokens}"
            raise RequestError(f"{read}; leave out about {told - self.max_tokens}: {text!r}")
        read = self.tokenizer(text, padding="max_length", max_length=self._places, return_tensors="pt")
        # No attention mask: CLIP's causal attention never lets a word see the padding, and CLIP was trained without.
        features = self.network(read["input_ids"].to(self.device))
        mask = read["attention_mask"][0].bool()
        return TextFeatures(
            features.text_embeds[0].float(), features.last_hidden_state[0].float(), mask.to(self.device)
        )

    @property
    def _places(self) -> int:
        return min(self.tokenizer.model_max_length, self.network.config.max_position_embeddings)
