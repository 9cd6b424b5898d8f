"""Stable Diffusion XL (arXiv:2307.01952): two text encoders, and the sizes of the picture beside the timestep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recast.backbones.stable_diffusion.backbone import StableDiffusionBackbone
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.conditions.text import max_tokens, tokenized
from recast.errors import BackboneError
from recast.model.folder import ModelFolder
from recast.model.index import read_index
from recast.networks.placement import placed
from recast.types import Frames, Tokens


@dataclass(frozen=True, eq=False)
class PairedPromptEncoder(PromptEncoder):
    """Two CLIP text encoders, side by side, and the second one's embedding of the whole prompt as one token more.

    That token is filled up with zeros; `pooled_width` tells how much of it is the embedding. zeros_for_nothing: whether
    empty words are zeros, as the folder says that they were in training.
    """

    second: PromptEncoder | None = None
    zeros_for_nothing: bool = True

    @classmethod
    def opened(cls, folder: ModelFolder, device: str, dtype: torch.dtype) -> "PairedPromptEncoder":
        """Both text encoders of a model. Raises WeightsError where the folder lacks one, or has a damaged one."""
        from transformers import CLIPTextModelWithProjection, CLIPTokenizer

        first = PromptEncoder.opened(folder, device, dtype)
        network = placed(folder.network("text_encoder_2", CLIPTextModelWithProjection), device, dtype)
        second = PromptEncoder(network, folder.part("tokenizer_2", CLIPTokenizer), torch.device(device))
        zeros = read_index(folder.path).get("force_zeros_for_empty_prompt", True)
        return cls(first.network, first.tokenizer, first.device, second=second, zeros_for_nothing=bool(zeros))

    def encode(self, text: str) -> Tokens:
        """The tokens of both encoders, and the whole prompt's. Raises RequestError for too many."""
        if self.learned:
            raise BackboneError("learned words are of one text encoder, and this model has two; leave them out")
        assert self.second is not None, "opened with both"
        first, _ = _penultimate(self, text)
        second, pooled = _penultimate(self.second, text)
        words = torch.cat([first, second], dim=-1)
        whole = torch.zeros_like(words[:1])
        whole[0, : len(pooled)] = pooled
        return torch.cat([words, whole])


@dataclass(frozen=True, eq=False, kw_only=True)
class StableDiffusionXLBackbone(StableDiffusionBackbone):
    """An image UNet that is conditioned on words, on the whole prompt and on sizes. arXiv:2307.01952."""

    def null_tokens(self) -> Tokens:
        """Those of empty words, or zeros where training had zeros."""
        nothing, prompt = self.prompt(""), self.prompt
        return torch.zeros_like(nothing) if getattr(prompt, "zeros_for_nothing", False) else nothing

    def source_content(self, frames: Frames) -> Tokens:  # noqa: ARG002 -- words alone say it
        """The tokens of empty words: what a clip shows is said by --source-prompt, or not at all."""
        return self.prompt("")

    def _conditioning(
        self, tokens: Float[Tensor, "rows n d"], images: Float[Tensor, "rows c y x"]
    ) -> Mapping[str, Any]:
        """Words, the whole prompt, and the sizes: the picture is as large as it was made, and nothing is cropped."""
        rows, columns = (self.pixel_multiple * side for side in images.shape[-2:])
        sizes = torch.tensor([rows, columns, 0, 0, rows, columns], device=tokens.device, dtype=tokens.dtype)
        pooled = tokens[:, -1, : self._pooled_width]
        added = {"text_embeds": pooled, "time_ids": sizes.expand(len(tokens), -1)}
        return {"encoder_hidden_states": tokens[:, :-1], "added_cond_kwargs": added}

    @property
    def _pooled_width(self) -> int:
        config = self.unet.config
        return config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim


def _penultimate(encoder: PromptEncoder, text: str) -> tuple[Tokens, Float[Tensor, " e"]]:
    """Features of the last layer but one, and what the encoder says of all words, as it has it."""
    read = tokenized(encoder.tokenizer, text, max_tokens(encoder.tokenizer, encoder.network))
    made = encoder.network(read["input_ids"].to(encoder.device), output_hidden_states=True)
    return made.hidden_states[-2][0].float(), made[0][0].flatten().float()
