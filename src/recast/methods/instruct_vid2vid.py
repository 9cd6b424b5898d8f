"""Instruction editing of a clip as a whole, by a network that was trained on triplets of video: InstructVid2Vid."""

from dataclasses import dataclass
from math import hypot
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.instruct_pix2pix import InstructPix2Pix
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class InstructVid2Vid(InstructPix2Pix):
    """Makes a clip anew by a network that reads it and an instruction, such as "make it night".

    arXiv:2305.12328: InstructPix2Pix's two guidances (equation 3 of arXiv:2211.09800), towards the clip by
    `picture_guidance` and from there towards the words by --cfg, with layers over time on and noise of its own in each
    frame. Needs a network that reads the picture to edit; `recast train instruct-vid2vid` makes one whose frames see
    each other. Network evaluations of a frame: 3 a step, 2 where either guidance is 1.
    """

    paper: ClassVar[str] = "InstructVid2Vid, arXiv:2305.12328"
    over_frames: ClassVar[bool] = True

    def _start(self, inputs: DenoiseInputs, backbone: Backbone, sigma: float) -> Latents:
        source = backbone.encode(inputs.clip.frames)
        noise = inputs.noise(source)
        # As large as unit-variance latents with this noise on them would be: the network never saw noise alone.
        return source + sigma * noise if self.strength < 1 else hypot(1, sigma) * noise
