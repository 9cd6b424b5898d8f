"""Frames edited as cells of grids that are shuffled at each step: RAVE, arXiv:2312.04524."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.grids import gridded
from recast.errors import RequestError
from recast.methods.knobs import ContentGuidanceKnobs
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, in_windows
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class RAVE(InversionKnobs, ContentGuidanceKnobs):
    """Inverts each frame, and walks back with frames laid out in grids, each of which the network sees as one image.

    arXiv:2312.04524, algorithm 1. Self-attention within a grid makes its frames alike, and new grids at each step make
    all frames alike. Needs no hooks; keeps the source by its structure, where the model reads one. Network evaluations
    of a frame: 2 a step to invert it, and 2 a step to edit it, at the size of a grid, and more where the last grid is
    filled up. A clip of any length goes through: memory is that of one grid, and windows do not matter.

    Differs: structure conditions the inversion too, in models that always read one; the temporal layers of a network
    that has them are off; the last grid is filled up with frames that are denoised twice.
    """

    paper: ClassVar[str] = "RAVE, arXiv:2312.04524"
    needs: ClassVar[frozenset[Need]] = frozenset()

    side: Annotated[int, Field(ge=1, le=8)] = 3
    """Frames along each side of a grid; 1 edits each frame by itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.apg_momentum:
            raise RequestError("rave has other grids at each step and no use for apg_momentum; leave it out")

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, or for a prompt that differs by frame."""
        inverted = self.inverted(inputs, backbone, in_windows(inputs, backbone, self.images(inputs, backbone, 1.0)))
        return inverted.walked(gridded(self.images(inputs, backbone, inputs.cfg_scale), self.side, inputs.seed))
