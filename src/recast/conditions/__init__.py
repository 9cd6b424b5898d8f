"""Conditions of the generator: structure extractors by name; content encoders are in `content`."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch

from recast.conditions.depth import DepthExtractor
from recast.conditions.edges import EdgeExtractor
from recast.model.folder import ModelFolder
from recast.types import Clip, Structure


@runtime_checkable
class Extractor(Protocol):
    """Estimates a clip's structure."""

    def __call__(self, clip: Clip) -> Structure:
        """One map per frame, at the clip's size, on the CPU."""
        ...


EXTRACTORS: dict[str, Callable[[ModelFolder, torch.device], Extractor]] = {
    "depth": DepthExtractor.opened,
    "edges": EdgeExtractor.opened,
}
"""Each opens an extractor from a model's folder; raises WeightsError where the folder lacks what it needs."""
