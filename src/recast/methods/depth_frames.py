"""A structure-conditioned image model on each frame: the baseline "Depth-SD" of Gen-1, arXiv:2302.03011."""

from dataclasses import dataclass
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.images import ImageKnobs
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class DepthFrames(ImageKnobs):
    """Makes each frame anew as an image, given its structure; all frames start from the same noise.

    A baseline: with a Gen-1 backbone it is the image model that shares its weights (temporal layers off), as Gen-1 was
    compared with a depth-conditioned Stable Diffusion frame by frame (section 4.2). 2 evaluations of a frame a step.
    """

    paper: ClassVar[str] = "Depth-SD per frame, baseline of arXiv:2302.03011"
    needs: ClassVar[frozenset[Need]] = frozenset()
    needs_source: ClassVar[bool] = False
    over_time: ClassVar[frozenset[str]] = frozenset({"words", "pictures", "structure_detail", "cfg"})

    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError where nothing of the source would be left."""
        return self.walked(inputs, backbone, self.strength)
