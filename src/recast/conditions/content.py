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


def encode(
    inputs: Sequence[ContentInput], open_encoder: Callable[[Medium], Encoder], norm: str, seed: int
) -> Embedding:
    """All inputs as one embedding, of the length that the model was trained with.

    open_encoder: gives the encoder of a medium. norm: `ModelMetadata.embedding_norm`, "raw" or "unit".

    Raises RequestError for weights that cannot be (`blended`) or too many words, MediaError for what is no picture,
    WeightsError for what the model lacks.
    """
    embeddings = [open_encoder(each.medium)(each.text, seed) for each in inputs]
    if norm == "unit":
        embeddings = [embedding / embedding.norm() for embedding in embeddings]
    return blended([(embedding, each.weight) for embedding, each in zip(embeddings, inputs, strict=True)])
