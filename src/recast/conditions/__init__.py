"""Conditions of the generator: structure extractors by name; content encoders are in `content`."""

from collections.abc import Callable

import torch

from recast.conditions.depth import DepthExtractor
from recast.conditions.edges import EdgeExtractor
from recast.conditions.extractor import Extractor
from recast.conditions.lineart import LineArtExtractor
from recast.conditions.motion import MotionExtractor
from recast.conditions.pose import PoseExtractor
from recast.model.folder import ModelFolder

EXTRACTORS: dict[str, Callable[[ModelFolder, torch.device], Extractor]] = {
    "depth": DepthExtractor.opened,
    "edges": EdgeExtractor.opened,
    "lineart": LineArtExtractor.opened,
    "motion": MotionExtractor.opened,
    "pose": PoseExtractor.opened,
}
"""Each opens an extractor from a model's folder; raises WeightsError where the folder lacks what it needs."""
