"""What must stay where it is: every extractor by name."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch

from recast.conditions.depth import DepthExtractor
from recast.conditions.edges import EdgeExtractor
from recast.model.folder import ModelFolder
from recast.types import Clip, Structure


@runtime_checkable
class Extractor(Protocol):
    """Sees a clip's structure."""

    def __call__(self, clip: Clip) -> Structure:
        """One map a frame, at the clip's pixel size, on the CPU."""
        ...


EXTRACTORS: dict[str, Callable[[ModelFolder, torch.device], Extractor]] = {
    "depth": DepthExtractor.opened,
    "edges": EdgeExtractor.opened,
}
"""Each opens an extractor from a model's folder; raises WeightsError where the folder lacks what it needs."""
