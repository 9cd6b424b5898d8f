"""Words as the tokens that Stable Diffusion's cross-attention reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recast.conditions.subject import EmbeddedWord, NamedSubject
from recast.conditions.text import max_tokens, tokenized
from recast.conditions.word_alignment import prompt_tokens
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.prompt import PromptTokens
from recast.types import Tokens


@dataclass(frozen=True, eq=False)
class LearnedWords:
    """How a subject's token is read: as its class, an offset added to each of the class's token embeddings.

    An offset of None reads it as the token and its class, two words.
    """

    subject: NamedSubject | EmbeddedWord
    offset: Float[Tensor, "n d"] | None = None

    @property
    def text(self) -> str:
        """The words in the token's place."""
        return self.subject.named if self.offset is None else self.subject.class_name


@dataclass(frozen=True, eq=False)
class PromptEncoder:
    """A CLIPTextModel and the tokenizer that it was trained with. learned: tokens of subjects that it reads besides."""

    network: nn.Module
    tokenizer: Any
    device: torch.device
    learned: tuple[LearnedWords, ...] = ()

    @classmethod
    def opened(cls, folder: ModelFolder, device: str, dtype: torch.dtype) -> "PromptEncoder":
        """The text encoder of a model. Raises WeightsError where the folder has none, or a damaged one."""
        from transformers import CLIPTextModel, CLIPTokenizer

        network = placed(folder.network("text_encoder", CLIPTextModel), device, dtype)
        return cls(network, folder.part("tokenizer", CLIPTokenizer), torch.device(device))

    def words(self, text: str) -> PromptTokens:
        """How the tokens spell the words. Raises RequestError for more tokens than there are places."""
        return prompt_tokens(self.tokenizer, self._parts(text)[0], max_tokens(self.tokenizer, self.network))

    @torch.no_grad()
    def __call__(self, text: str) -> Tokens:
        """One token for each place (77 as published), padding included, which the network was trained to read.

        Raises RequestError for more tokens than there are places.
        """
        return self.encode(text)

    def encode(self, text: str) -> Tokens:
        """The same, with gradients to the offsets of learned words."""
        plain, learned = self._parts(text)
        ids = tokenized(self.tokenizer, plain, max_tokens(self.tokenizer, self.network))["input_ids"].to(self.device)
        with _added(self.network.get_input_embeddings(), learned):
            return self.network(ids)[0][0].float()

    def no_offset(self, text: str) -> Float[Tensor, "n d"]:
        """An offset of zeros for each token of a text, in fp32."""
        width = self.network.get_input_embeddings().weight.shape[1]
        return torch.zeros(self._token_count(text), width, device=self.device)

    def _token_count(self, text: str) -> int:
        """Tokens of a text, without the start and end tokens."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _parts(self, text: str) -> tuple[str, list[tuple[int, Tensor]]]:
        """The text with learned words in place of their tokens, and their offsets, each with its first place."""
        parts: list[str | LearnedWords] = [text]
        for words in self.learned:
            parts = [piece for part in parts for piece in _split(part, words)]
        plain, offsets = "", []
        for part in parts:
            if isinstance(part, LearnedWords) and part.offset is not None:
                offsets.append((1 + self._token_count(plain), part.offset))  # behind the start token
            plain += part.text if isinstance(part, LearnedWords) else part
        return plain, offsets


def _split(part: str | LearnedWords, words: LearnedWords) -> Iterator[str | LearnedWords]:
    between = [part] if isinstance(part, LearnedWords) else words.subject.split(part)
    for number, piece in enumerate(between):
        if number:
            yield words
        yield piece


@contextmanager
def _added(embeddings: nn.Module, offsets: list[tuple[int, Tensor]]) -> Iterator[None]:
    """Inside the block offsets are added to the token embeddings from their places on."""

    def add(_module: nn.Module, _inputs: object, found: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        for start, offset in offsets:
            places = torch.arange(start, start + len(offset), device=found.device)
            found = found.index_add(1, places, offset.to(found).expand(len(found), -1, -1))
        return found

    handle = embeddings.register_forward_hook(add) if offsets else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
