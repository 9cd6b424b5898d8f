"""A set of edits against the set of their sources, as generators are measured: FID, KID, FVD, KVD, video IS and kin."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.clip_pair import ClipPair
from recast.conditions.video_network import VideoNetwork, is_video_network
from recast.conditions.vision import VisionEncoder, is_vision
from recast.engine.device import chosen_device
from recast.errors import RequestError
from recast.evaluation.metrics.frechet import frechet_distance
from recast.evaluation.metrics.inception_score import inception_score
from recast.evaluation.metrics.kernel import kernel_distance
from recast.progress import ProgressCallback
from recast.video.read import Window, opened, read


@dataclass(frozen=True)
class SetScores:
    """What two sets differ by. figures: by the names of METRICS. by: the network.

    vectors: of the edits and of the sources, one of each frame, or of each clip where the network looks at clips.
    """

    figures: dict[str, float]
    by: str
    vectors: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        return {"measures": self.figures, "by": self.by, "vectors": list(self.vectors)}


def set_scores(
    sources: Sequence[Path], edits: Sequence[Path], network: str, device: str, watch: ProgressCallback
) -> SetScores:
    """The distances of two sets of clips, by the features of a network.

    network: the folder of a CLIPModel, DINOv2, DINO or VideoMAE, or a model. Raises RequestError for sets of which
    there are fewer than two vectors, and what reading clips and networks raises.
    """
    looker = _opened(network, chosen_device(device))
    look = looker.features if isinstance(looker, VideoNetwork) else looker.embeddings
    total, done = len(edits) + len(sources), 0
    sets: list[Float[Tensor, "_ d"]] = []
    classes: list[Tensor] = []
    for paths in (edits, sources):
        vectors = []
        for path in paths:
            watch("sets", done, total)
            frames, done = read(opened(path), Window()).frames, done + 1
            vectors.append(look(frames))
            probabilities = looker.classes(frames) if isinstance(looker, VideoNetwork) and paths is edits else None
            classes += [] if probabilities is None else [probabilities]
        sets.append(torch.cat(vectors))
    watch("sets", total, total)
    counts = len(sets[0]), len(sets[1])
    if min(counts) < 2:
        raise RequestError(
            f"{looker.name} gives {counts[0]} and {counts[1]} vectors; a set has at least two: add clips"
        )
    figures = {"frechet": frechet_distance(*sets), "kernel": 1e3 * kernel_distance(*sets)}
    figures |= {"inception": inception_score(torch.cat(classes))} if classes else {}
    return SetScores(figures, looker.name, counts)


def _opened(network: str, device: torch.device) -> VideoNetwork | VisionEncoder | ClipPair:
    if is_video_network(network):
        return VideoNetwork.opened(network, device)
    return VisionEncoder.opened(network, device) if is_vision(network) else ClipPair.opened(network, device)
