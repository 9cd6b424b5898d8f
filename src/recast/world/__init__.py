"""Procedural video with ground truth: ray-cast worlds with depth, masks, optical flow and captions."""

from recast.world.captions import captioned
from recast.world.filming import as_filmed
from recast.world.footage import Footage, rendered
from recast.world.sampling import sampled
from recast.world.scene import Scene, Subject
from recast.world.textures import dead_leaves
from recast.world.words import vocabulary

__all__ = ["Footage", "Scene", "Subject", "as_filmed", "captioned", "dead_leaves", "rendered", "sampled", "vocabulary"]
