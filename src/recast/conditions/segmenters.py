"""What finds in frames what words name: CLIPSeg, or a detector of boxes whose masks SAM draws."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.box_masks import BoxMasks
from recast.conditions.word_masks import WordMasks
from recast.model.folder import ModelFolder
from recast.types import Frames


@runtime_checkable
class WordSegmenter(Protocol):
    """Says of each place of each frame how likely it shows what words name."""

    usual: ClassVar[float]
    """The likelihood above which places are marked where nothing else is asked."""

    def __call__(self, frames: Frames, words: Sequence[str], likely: float) -> Float[Tensor, "t 1 h w"]:
        """0..1, on the CPU, right where it is above `likely`. Raises RequestError for words that are too many."""
        ...


def segmenter_of(folder: ModelFolder, device: torch.device) -> WordSegmenter:
    """That of a model folder. Raises WeightsError where it has none, or a damaged one."""
    return (BoxMasks if folder.has("detector") else WordMasks).opened(folder, device)
