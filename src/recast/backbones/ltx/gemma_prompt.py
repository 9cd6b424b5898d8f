"""Words as LTX-2 reads them: all layers of Gemma, and a small transformer that brings them to the network's width."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from jaxtyping import Float, Int
from torch import Tensor, nn

from recast.backbones.t5_prompt import T5Prompt
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.types import Tokens


class ConnectedGemma(nn.Module):
    """Gemma and the connectors behind it, which put learned tokens in the place of padding."""

    def __init__(self, encoder: Any, connectors: LTX2TextConnectors) -> None:  # noqa: ANN401 -- transformers' own type
        super().__init__()
        self.encoder, self.connectors = encoder, connectors

    def forward(self, ids: Int[Tensor, "1 n"], mask: Int[Tensor, "1 n"]) -> Float[Tensor, "1 n d"]:
        """The tokens for pictures; those for sound are left. Padding is on the left."""
        layers = self.encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        packed = torch.stack(layers, dim=-1).flatten(2, 3)
        weight = next(self.connectors.parameters())
        return self.connectors(packed.to(weight), mask, padding_side="left")[0]


@dataclass(frozen=True, eq=False)
class GemmaPrompt(T5Prompt):
    """Gemma3ForConditionalGeneration, of which pictures are not asked, with LTX2TextConnectors and its tokenizer."""

    @classmethod
    def of_folder(cls, folder: ModelFolder, places: int, where: tuple[str, torch.dtype]) -> "GemmaPrompt":
        """The text encoder and the connectors of a model. Raises WeightsError where the folder lacks one."""
        from transformers import AutoTokenizer, Gemma3ForConditionalGeneration

        device, dtype = where
        kinds = {"text_encoder": Gemma3ForConditionalGeneration, "connectors": LTX2TextConnectors}
        networks = [folder.network(name, kind, dtype=dtype) for name, kind in kinds.items()]
        tokenizer = folder.part("tokenizer", AutoTokenizer, padding_side="left")
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        both = placed(ConnectedGemma(*networks), device)
        return cls(both, tokenizer, torch.device(device), places)

    @torch.no_grad()
    def __call__(self, text: str) -> Tokens:
        """One token for each place. Raises RequestError for more tokens than places."""
        return self.network(*self._read(text))[0].float()
