"""Words as the tokens that transformers of video read: T5 and its kin."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.types import Tokens


@dataclass(frozen=True, eq=False)
class T5Prompt:
    """An encoder of T5's kind and its tokenizer. arXiv:1910.10683, arXiv:2304.09151 (UMT5).

    places: tokens of a prompt, the end token counted. sees_padding: whether words see padding in the encoder, as where
    its own mask was left out in training. keeps_padding: whether padding stays as the encoder has it, where the network
    reads it too; else it is zeros.
    """

    network: nn.Module
    tokenizer: Any
    device: torch.device
    places: int
    sees_padding: bool = False
    keeps_padding: bool = False

    @classmethod
    def opened(
        cls,
        folder: ModelFolder,
        kind: type,
        places: int,
        where: tuple[str, torch.dtype],
        *,
        sees_padding: bool = False,
        keeps_padding: bool = False,
    ) -> "T5Prompt":
        """The text encoder of a model. kind: its class. where: the device and the number format.

        Raises WeightsError where the folder has none, or a damaged one.
        """
        from transformers import AutoTokenizer

        device, dtype = where
        network = placed(folder.network("text_encoder", kind, dtype=dtype), device)
        tokenizer = folder.part("tokenizer", AutoTokenizer)
        return cls(network, tokenizer, torch.device(device), places, sees_padding, keeps_padding)

    @torch.no_grad()
    def __call__(self, text: str) -> Tokens:
        """One token for each place, those of padding zero unless they are kept.

        Raises RequestError for more tokens than places.
        """
        ids, mask = self._read(text)
        hidden = self.network(ids, attention_mask=None if self.sees_padding else mask)[0][0]
        return hidden.float() if self.keeps_padding else hidden.float() * mask[0, :, None]

    def _read(self, text: str) -> tuple[Tensor, Tensor]:
        """The numbers of a prompt's tokens, padded to all places, and where they are words. One row each."""
        words = " ".join(text.split())
        count = len(self.tokenizer(words)["input_ids"])
        if count > self.places:
            read = f"the words come to {count} tokens and the model reads {self.places}"
            raise RequestError(f"{read}; leave out about {count - self.places}: {words[:80]!r}")
        read = self.tokenizer(words, padding="max_length", max_length=self.places, return_tensors="pt")
        return read["input_ids"].to(self.device), read["attention_mask"].to(self.device)
