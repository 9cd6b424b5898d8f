"""SDEdit of each frame as an image: a baseline of Gen-1, arXiv:2302.03011."""

from dataclasses import dataclass
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.images import ImageKnobs
from recast.methods.needs import Need
from recast.methods.unstructured import NoisedSourceKnobs, unstructured
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class SDEditFrames(NoisedSourceKnobs, ImageKnobs):
    """Noises each frame and denoises it as an image, without structure; all frames get the same noise.

    A baseline: Gen-1 was compared with SDEdit (arXiv:2108.01073) frame by frame (section 4.2). `sdedit` is the same
    with the network's temporal layers on. 2 evaluations of a frame a step, of which `strength` are taken.
    """

    paper: ClassVar[str] = "SDEdit per frame, baseline of arXiv:2302.03011"
    needs: ClassVar[frozenset[Need]] = frozenset()
    over_time: ClassVar[frozenset[str]] = frozenset({"words", "pictures", "cfg"})

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError where nothing of the source would be left."""
        bare = unstructured(inputs, backbone)
        return self.walked(bare, backbone, self.strength)
