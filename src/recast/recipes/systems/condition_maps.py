"""Conditions of rendered clips: depth, edges, motion vectors, pictures' embeddings, poses."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from recast.conditions.depth import DepthExtractor, normalized
from recast.conditions.edges import EdgeExtractor
from recast.conditions.image import embedded
from recast.conditions.motion import MotionExtractor
from recast.conditions.skeletons import drawn
from recast.data.renders import RenderedDataset, RenderPlan
from recast.data.video_cache import Conditioner, shown
from recast.model.folder import ModelFolder
from recast.networks.conditioned import PICTURE, POSE
from recast.types import Clip
from recast.world import sampled
from recast.world.people import people_of

FPS = Fraction(10)
"""Frames of worlds a second."""


def world_conditions(base: ModelFolder, image: nn.Module) -> Mapping[str, Conditioner]:
    """Of clips of worlds. base: whose depth estimator sees every second one, so that its errors are learned too."""
    estimator = DepthExtractor.opened(base, torch.device("cpu"))

    def depth(pool: RenderedDataset, clip: int) -> Tensor:
        if clip % 2:
            frames = shown(pool, clip)
            return normalized(estimator.measured(frames, slice(0, len(frames))))
        return normalized(torch.from_numpy(pool.inverse[clip].astype(np.float32))[:, None])

    return {
        "depth": depth,
        "edges": lambda pool, clip: _seen(EdgeExtractor(), pool, clip),
        "motion": lambda pool, clip: _seen(MotionExtractor(), pool, clip),
        PICTURE: lambda pool, clip: embedded(image, np.asarray(pool.frames[clip])),
    }


def people_conditions(plan: RenderPlan) -> Mapping[str, Conditioner]:
    """Of clips of people, that were rendered by the plan: their poses as pictures of sticks."""

    def poses(pool: RenderedDataset, clip: int) -> Tensor:
        seed = plan.first_seed + clip
        scene = sampled(seed, **plan.wishes(np.random.default_rng([seed, 11])))
        frames, rows, columns = pool.shape
        pictures = [drawn(people, (rows, columns)) for people in people_of(scene, frames, rows, columns)]
        return rearrange(torch.from_numpy(np.stack(pictures)).float() / 255, "t h w c -> t c h w")

    return {POSE: poses}


def _seen(extractor: EdgeExtractor | MotionExtractor, pool: RenderedDataset, clip: int) -> Tensor:
    return extractor(Clip(shown(pool, clip), FPS)).maps
