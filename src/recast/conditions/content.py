"""Content: prompts and pictures as one CLIP image embedding; encoders by medium."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F

from recast.conditions.blend import blended
from recast.conditions.image import ImageEncoder
from recast.conditions.prior import Prior
from recast.model.folder import ModelFolder
from recast.types import Embedding, Frames


class Medium(StrEnum):
    """Medium of a content input."""

    WORDS = "words"
    PICTURE = "picture"


@dataclass(frozen=True)
class ContentInput:
    """One content of an edit. text: a prompt, or the path of a picture. weight: relative to the others, at least 0."""

    medium: Medium
    text: str
    weight: float = 1.0


@runtime_checkable
class Encoder(Protocol):
    """Encodes one content input as a CLIP image embedding."""

    def __call__(self, text: str, seed: int, /) -> Embedding:
        """The embedding, on the CPU, not normalised; `seed` is for encoders that sample."""
        ...


ENCODERS: dict[Medium, Callable[[ModelFolder, torch.device], Encoder]] = {
    Medium.PICTURE: ImageEncoder.opened,
    Medium.WORDS: Prior.opened,
}
"""Each opens an encoder from a model's folder; raises WeightsError where the folder lacks what it needs."""


@dataclass(frozen=True, eq=False)
class ContentEncoders:
    """The encoders of one model, each opened when it is first needed and kept."""

    folder: ModelFolder
    device: torch.device
    opened: dict[Medium, Encoder] = field(default_factory=dict)

    def __call__(self, inputs: Sequence[ContentInput], seed: int) -> Embedding:
        """All content inputs as one embedding, with the norm that the model was trained with.

        Raises RequestError for invalid weights (`blended`) or a prompt of too many tokens, MediaError for a file that
        is no picture, WeightsError for a missing or damaged component.
        """
        embeddings = [self.encoder(each.medium)(each.text, seed) for each in inputs]
        if self.folder.metadata.embedding_norm == "unit":
            embeddings = [embedding / embedding.norm() for embedding in embeddings]
        return blended([(embedding, each.weight) for embedding, each in zip(embeddings, inputs, strict=True)])

    def of_frames(self, frames: Frames) -> Embedding:
        """What frames show, as one embedding: the mean of their directions, of length 1."""
        encoder = self.encoder(Medium.PICTURE)
        assert isinstance(encoder, ImageEncoder), "pictures have one encoder"
        embeddings = F.normalize(encoder.embeddings(frames), dim=-1)
        return F.normalize(embeddings.mean(dim=0), dim=0)

    def encoder(self, medium: Medium) -> Encoder:
        """The encoder of a medium. Raises WeightsError where the model lacks it."""
        if medium not in self.opened:
            self.opened[medium] = ENCODERS[medium](self.folder, self.device)
        return self.opened[medium]
