"""What it should look like: words and pictures as one content embedding; every encoder by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import torch

from recast.conditions.blend import blended
from recast.conditions.image import ImageEncoder
from recast.conditions.prior import Prior
from recast.model.folder import ModelFolder
from recast.types import Embedding


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


def encode(said: Sequence[ContentInput], folder: ModelFolder, seed: int, device: torch.device) -> Embedding:
    """All that was said as one embedding, of the length that the model was trained with.

    Raises RequestError for weights that cannot be (`blended`) or too many words, MediaError for what is no picture,
    WeightsError for what the model lacks.
    """
    encoders = {medium: ENCODERS[medium](folder, device) for medium in sorted({each.medium for each in said})}
    embeddings = [encoders[each.medium](each.text, seed) for each in said]
    if folder.metadata.embedding_norm == "unit":
        embeddings = [embedding / embedding.norm() for embedding in embeddings]
    return blended([(embedding, each.weight) for embedding, each in zip(embeddings, said, strict=True)])
