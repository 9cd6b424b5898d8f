"""What it should look like: words and pictures as one content embedding; every encoder by name."""

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
    """How content is said."""

    WORDS = "words"
    PICTURE = "picture"


@dataclass(frozen=True)
class ContentInput:
    """What the user asked to see: words, or the path of a picture; weight: its share among others, 0 or more."""

    medium: Medium
    text: str
    weight: float = 1.0


@runtime_checkable
class Encoder(Protocol):
    """Turns one thing said into the embedding that a picture of it would have."""

    def __call__(self, text: str, seed: int, /) -> Embedding:
        """The embedding, on the CPU, as the encoder gives it; `seed` is for encoders that draw."""
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

    def __call__(self, said: Sequence[ContentInput], seed: int) -> Embedding:
        """All that was said as one embedding; see `encode`."""
        embeddings = [self.encoder(each.medium)(each.text, seed) for each in said]
        if self.folder.metadata.embedding_norm == "unit":
            embeddings = [embedding / embedding.norm() for embedding in embeddings]
        return blended([(embedding, each.weight) for embedding, each in zip(embeddings, said, strict=True)])

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


def encode(said: Sequence[ContentInput], folder: ModelFolder, seed: int, device: torch.device) -> Embedding:
    """All that was said as one embedding, of the length that the model was trained with.

    Raises RequestError for weights that cannot be (`blended`) or too many words, MediaError for what is no picture,
    WeightsError for what the model lacks.
    """
    return ContentEncoders(folder, device)(said, seed)
