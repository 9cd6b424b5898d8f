"""A set of edits against the set of their sources, as generators are measured: FID, KID, FVD, KVD, video IS and kin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.clip_pair import ClipPair
from recast.conditions.inception import InceptionNetwork, is_inception
from recast.conditions.video_network import VideoNetwork, is_video_network
from recast.conditions.vision import VisionEncoder, is_vision
from recast.engine.device import chosen_device
from recast.errors import RequestError
from recast.evaluation.metrics.frechet import frechet_distance
from recast.evaluation.metrics.inception_score import inception_score
from recast.evaluation.metrics.kernel import kernel_distance
from recast.progress import ProgressCallback
from recast.types import Frames
from recast.video.read import Window, opened, read

Looked = tuple[Float[Tensor, "n d"], Float[Tensor, "n c"] | None]
"""Features of a clip's frames, or of the clip as one, and probabilities of classes, where the network tells these."""


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
    sources: Sequence[Path],
    edits: Sequence[Path],
    network: str,
    device: str,
    watch: ProgressCallback,
    *,
    max_frames: int | None = None,
    on_damage: str = "fail",
) -> SetScores:
    """The distances of two sets of clips, by the features of a network.

    network: the folder of a CLIPModel, DINOv2, DINO, VideoMAE or FID's Inception, or a model. max_frames: of each
    clip. on_damage: of one, fail, warn or repeat. Raises RequestError for sets of which there are fewer than two
    vectors, and what reading clips and networks raises.
    """
    name, look = _opened(network, chosen_device(device))
    total, done = len(edits) + len(sources), 0
    sets: list[Float[Tensor, "_ d"]] = []
    classes: list[Tensor] = []
    for paths in (edits, sources):
        vectors = []
        for path in paths:
            watch("sets", done, total)
            seen, probabilities = look(read(opened(path, on_damage), Window(max_frames=max_frames)).frames)
            vectors.append(seen)
            classes += [probabilities] if paths is edits and probabilities is not None else []
            done += 1
        sets.append(torch.cat(vectors))
    watch("sets", total, total)
    counts = len(sets[0]), len(sets[1])
    if min(counts) < 2:
        raise RequestError(f"{name} gives {counts[0]} and {counts[1]} vectors; a set has at least two: add clips")
    figures = {"frechet": frechet_distance(*sets), "kernel": 1e3 * kernel_distance(*sets)}
    figures |= {"inception": inception_score(torch.cat(classes))} if classes else {}
    return SetScores(figures, name, counts)


def _opened(network: str, device: torch.device) -> tuple[str, Callable[[Frames], Looked]]:
    """The network's name, and what it tells of a clip."""
    if is_video_network(network):
        video = VideoNetwork.opened(network, device)
        return video.name, lambda frames: (video.features(frames), video.classes(frames))
    if is_inception(network):
        inception = InceptionNetwork.opened(network, device)
        return inception.name, lambda frames: _classified(inception, frames)
    encoder = VisionEncoder.opened(network, device) if is_vision(network) else ClipPair.opened(network, device)
    return encoder.name, lambda frames: (encoder.embeddings(frames), None)


def _classified(network: InceptionNetwork, frames: Frames) -> Looked:
    features = network.features(frames)
    return features, network.classes(features)
