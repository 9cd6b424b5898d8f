"""Image variations as a backbone: a UNet of Stable Diffusion whose content is one CLIP image embedding."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.backbones.animatediff.motion_unet import MotionUNet
from recast.backbones.stable_diffusion import ControlledUNet
from recast.conditions.blend import blended
from recast.conditions.content import ContentEncoders, ContentInput, Medium
from recast.conditions.image import ImageEncoder
from recast.errors import BackboneError
from recast.networks.placement import first_weight
from recast.prompt import PromptTokens
from recast.types import Embedding, Frames, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageVariationsBackbone(ControlledUNet):
    """A UNet whose cross-attention reads one token, a projected CLIP image embedding that is not normalised.

    Gen-1 parametrizes content so (arXiv:2302.03011, section 3.3). content: makes the embedding of pictures, and of
    words by a prior. reads_words: whether there is one. no_words: the tokens of "" by the text encoder that ControlNets
    were trained with, which they read in place of content; None without ControlNets.
    """

    content: ContentEncoders
    reads_words: bool = False
    no_words: Tokens | None = None

    @property
    def media(self) -> frozenset[Medium]:
        """Pictures, and words where there is a prior."""
        return frozenset(Medium if self.reads_words else {Medium.PICTURE})

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """One embedding as one token: of pictures, and of words by the prior, blended by weight.

        Raises BackboneError for words without a prior, and otherwise as `ContentEncoders` does.
        """
        if not self.reads_words and any(each.medium is Medium.WORDS for each in inputs):
            ways = "say --image FILE alone, or take gen1-clip-words or another folder with a prior"
            raise BackboneError(f"this model reads pictures, and words only by a prior, which it lacks; {ways}")
        return self._token(self.content(inputs, seed))

    def prompt_tokens(self, inputs: Sequence[ContentInput]) -> PromptTokens | None:  # noqa: ARG002 -- of one embedding
        """Always None: the token is an embedding, and no word."""
        return None

    def source_content(self, frames: Frames) -> Tokens:
        """The mean direction of the frames' embeddings, at their mean length, as one token."""
        encoder = self.content.encoder(Medium.PICTURE)
        assert isinstance(encoder, ImageEncoder), "pictures have one encoder"
        return self._token(blended([(each, 1.0) for each in encoder.embeddings(frames)]))

    def null_tokens(self) -> Tokens:
        """A token of zeros, as in training where content was dropped."""
        return torch.zeros(1, self.unet.config.cross_attention_dim, device=first_weight(self.unet).device)

    def _token(self, embedding: Embedding) -> Tokens:
        return rearrange(embedding, "d -> 1 d").to(first_weight(self.unet).device)

    def _read_by_controlnets(self, tokens: Tokens) -> Float[Tensor, "*f places d"]:
        return tokens if self.no_words is None else self.no_words


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageVariationsVideo(MotionUNet, ImageVariationsBackbone):
    """The same with AnimateDiff's motion modules (arXiv:2307.04725), which switch Gen-1's equation 8."""
