"""Stable Diffusion as a backbone: each frame an image of its own, conditioned on words and, by 2-depth, its depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange

from recast.backbones.image_prompt import ImagePrompt
from recast.backbones.stable_diffusion.image_unet import ImageUNetBackbone
from recast.backbones.stable_diffusion.prompt import PromptEncoder
from recast.conditions.blend import blended
from recast.conditions.content import ContentInput, Medium
from recast.errors import BackboneError
from recast.prompt import PromptTokens
from recast.types import Frames, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class StableDiffusionBackbone(ImageUNetBackbone):
    """An image UNet that reads words by a text encoder. arXiv:2112.10752.

    image_prompt: reads pictures, by layers of the UNet's; their tokens stand behind those of words.
    """

    prompt: PromptEncoder
    image_prompt: ImagePrompt | None = None

    @property
    def media(self) -> frozenset[Medium]:
        """Words, and pictures where there is an IP-Adapter."""
        return frozenset({Medium.WORDS} if self.image_prompt is None else Medium)

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:  # noqa: ARG002 -- no draws
        """The prompt's tokens; of several, their mean by weight, and behind them the pictures', likewise.

        Weights are among words, and among pictures. Raises BackboneError for a picture without an IP-Adapter.
        """
        texts, shown = (
            [(each.text, each.weight) for each in inputs if each.medium is medium]
            for medium in (Medium.WORDS, Medium.PICTURE)
        )
        if shown and self.image_prompt is None:
            raise BackboneError("Stable Diffusion reads words only; leave the pictures out, or take a Gen-1 model")
        prompts = [(rearrange(self.prompt(text), "n d -> (n d)"), weight) for text, weight in texts or [("", 1.0)]]
        words = rearrange(blended(prompts), "(n d) -> n d", d=self.unet.config.cross_attention_dim)
        return words if self.image_prompt is None else torch.cat([words, self.image_prompt.of_files(shown)])

    def prompt_tokens(self, inputs: Sequence[ContentInput]) -> PromptTokens | None:
        """How the tokens of a prompt, or of no words, spell it; None for a blend of several."""
        texts = [each.text for each in inputs if each.medium is Medium.WORDS] or [""]
        return self.prompt.words(texts[0]) if len(texts) == 1 else None

    def source_content(self, frames: Frames) -> Tokens:
        """The tokens of no words, with the frames' own as pictures where they are read, else alone.

        Without an IP-Adapter what a clip shows is said by --source-prompt, or not at all.
        """
        if self.image_prompt is None:
            return self.null_tokens()
        return torch.cat([self.prompt(""), self.image_prompt.of_frames(frames)])

    def null_tokens(self) -> Tokens:
        """The tokens of empty words, and of no picture, as in training where content was dropped."""
        return self.prompt("") if self.image_prompt is None else torch.cat([self.prompt(""), self.image_prompt.null()])
