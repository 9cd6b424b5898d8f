"""Words as the tokens that Stable Diffusion's cross-attention reads."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from recast.conditions.text import max_tokens, tokenized
from recast.conditions.word_alignment import prompt_tokens
from recast.model.folder import ModelFolder
from recast.prompt import PromptTokens
from recast.types import Tokens


@dataclass(frozen=True, eq=False)
class PromptEncoder:
    """A CLIPTextModel and the tokenizer that it was trained with."""

    network: nn.Module
    tokenizer: Any
    device: torch.device

    @classmethod
    def opened(cls, folder: ModelFolder, device: str, dtype: torch.dtype) -> "PromptEncoder":
        """The text encoder of a model. Raises WeightsError where the folder has none, or a damaged one."""
        from transformers import CLIPTextModel, CLIPTokenizer

        network = folder.network("text_encoder", CLIPTextModel).to(device, dtype).requires_grad_(False)
        return cls(network, folder.part("tokenizer", CLIPTokenizer), torch.device(device))

    def words(self, text: str) -> PromptTokens:
        """How the tokens spell the words. Raises RequestError for more tokens than there are places."""
        return prompt_tokens(self.tokenizer, text, max_tokens(self.tokenizer, self.network))

    @torch.no_grad()
    def __call__(self, text: str) -> Tokens:
        """One token for each place (77 as published), padding included, which the network was trained to read.

        Raises RequestError for more tokens than there are places.
        """
        read = tokenized(self.tokenizer, text, max_tokens(self.tokenizer, self.network))
        return self.network(read["input_ids"].to(self.device))[0][0].float()
