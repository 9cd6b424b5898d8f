"""Windows denoised together, in which frames look towards the middle: Gen-L-Video, arXiv:2305.18264."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs, Denoiser
from recast.methods.knobs import GuidanceKnobs
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, under_hooks
from recast.networks.attention_recipes import PassAttention, towards_middle
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class GenLVideo(InversionKnobs, GuidanceKnobs):
    """Inverts the clip and walks back, at each level by short windows that overlap much and are averaged.

    arXiv:2305.18264, temporal co-denoising. In a window frames attend to its middle frame and to their
    neighbour towards it, so an image network knows neighbours, and each frame is in windows of several middles. The
    windows' predictions of a frame count alike, which is the least-squares joint of them. Any length of
    clip in the memory of one window; a prompt may differ by frame. Needs attention hooks. Network evaluations of a
    frame: 2 a step to invert it and 2 a step to edit it, each 1 / (1 - `overlap`) times where the clip is longer than a
    window. Draws nothing, so the seed changes nothing.

    Differs: predictions of clean latents are averaged, which for DDIM is averaging the latents after the step; the
    last window ends with the clip, where the published code leaves out the frames after its last whole stride; frames
    have prompts of their own, not windows; the network's temporal layers stay on.
    """

    paper: ClassVar[str] = "Gen-L-Video, arXiv:2305.18264"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})
    even_windows: ClassVar[bool] = True

    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.75
    """The share of its frames that a window has in common with the next one; published: 16 frames, 4 apart."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source."""
        inverted = self.inverted(inputs, backbone, self.denoiser(inputs, backbone, 1.0))
        return inverted.walked(self.denoiser(inputs, backbone, inputs.cfg_scale))

    def changed(self, denoise: Denoiser, backbone: Backbone, /) -> Denoiser:
        """Frames look towards the middle of their window."""
        return under_hooks(backbone, denoise, PassAttention(towards_middle))
