"""How each family reads a customized subject: as words, or as one content embedding with an offset."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recast.backbones.backbone import Backbone
from recast.backbones.gen1 import Gen1Backbone
from recast.backbones.stable_diffusion import StableDiffusionBackbone
from recast.backbones.stable_diffusion.prompt import LearnedWords
from recast.conditions.content import ContentInput, Medium
from recast.conditions.subject import EmbeddingEncoder, NamedSubject, SubjectEncoder
from recast.errors import BackboneError
from recast.types import Embedding, Frames, Tokens


class SubjectOffset(nn.Module):
    """What is added to a class to mean the subject; called, it gives the tokens that cross-attention reads.

    read: tokens of an offset, with gradients.
    """

    def __init__(self, offset: Tensor, read: Callable[[Tensor], Tokens]) -> None:
        super().__init__()
        self.offset = nn.Parameter(offset.clone())
        self._read = read

    def forward(self) -> Tokens:
        """The subject's tokens."""
        return self._read(self.offset)


def subject_offset(backbone: Backbone, subject: NamedSubject, pictures: Frames, seed: int) -> SubjectOffset:
    """The offset as training begins. pictures: of the subject. seed: for encoders that draw.

    Words: none yet, of each token of the class (textual inversion, arXiv:2208.01618, which begins at a coarse
    descriptor). Content embeddings: from the class to the mean of the pictures. Raises BackboneError elsewhere.
    """
    if isinstance(backbone, StableDiffusionBackbone):
        prompt = backbone.prompt

        def words(offset: Tensor) -> Tokens:
            return replace(prompt, learned=(LearnedWords(subject, offset),)).encode(subject.token)

        return SubjectOffset(prompt.no_offset(subject.class_name), words)
    own, content = _gen1(backbone)
    of_class = content([ContentInput(Medium.WORDS, subject.class_name)], seed)
    away = mean_content(content, pictures) * of_class.norm() - of_class
    return SubjectOffset(away.to(own.unet.device), lambda offset: own.embedding_tokens(of_class.to(offset) + offset))


def mean_content(content: EmbeddingEncoder, pictures: Frames) -> Embedding:
    """What pictures show, as one embedding of length 1."""
    return F.normalize(content.of_frames(pictures), dim=0)


@torch.no_grad()
def picture_tokens(backbone: Backbone, words: str, picture: Frames) -> Tokens:
    """The content that a picture [1 3 h w] is trained with: its own where the family reads embeddings, else words."""
    if isinstance(backbone, StableDiffusionBackbone):
        return backbone.encode_content([ContentInput(Medium.WORDS, words)])
    _gen1(backbone)
    return backbone.source_content(picture)


def reads_subject(backbone: Backbone, subject: NamedSubject, offset: Tensor | None) -> Backbone:
    """The backbone whose prompts may name the subject by its token. Raises BackboneError for a family that cannot."""
    if isinstance(backbone, StableDiffusionBackbone):
        moved = None if offset is None else offset.to(backbone.unet.device)
        learned = (*backbone.prompt.learned, LearnedWords(subject, moved))
        return replace(backbone, prompt=replace(backbone.prompt, learned=learned))
    own, content = _gen1(backbone)
    assert offset is not None, "an adapter of this family holds an offset"
    return replace(own, content=SubjectEncoder(content, subject, offset))


def _gen1(backbone: Backbone) -> tuple[Gen1Backbone, EmbeddingEncoder]:
    if not isinstance(backbone, Gen1Backbone) or not isinstance(backbone.content, EmbeddingEncoder):
        raise BackboneError("this model's family cannot be taught a subject; take Stable Diffusion or a Gen-1 model")
    return backbone, backbone.content
