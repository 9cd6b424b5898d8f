"""The clip inverted without content, and made anew from there: how Tune-A-Video's tuned networks edit, 2212.11565."""

from dataclasses import dataclass, replace
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.knobs import GuidanceKnobs
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class TuneAVideo(InversionKnobs, GuidanceKnobs):
    """Inverts the clip under the null content, without guidance, and walks back guided by the edited prompt.

    arXiv:2212.11565. Meant for a network tuned on the clip (`recast tune --train tune-a-video`, or one-shot), which
    brings its attention and layers over time; the inverted latents bring the clip's structure. Runs on any network.
    Network evaluations of a frame: 2 a step to invert it, and 2 a step to edit it. Draws nothing, so the seed changes
    nothing. The published guidance is 12.5 (--cfg).

    Differs: each step up is made anew once (`refinements`; the paper: not at all), structure that the network reads
    stays in force on both ways, and latents are the mean of the autoencoder.
    """

    paper: ClassVar[str] = "Tune-A-Video, arXiv:2212.11565"
    needs: ClassVar[frozenset[Need]] = frozenset()
    needs_source: ClassVar[bool] = False

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range."""
        blank = replace(inputs.condition, cond=inputs.condition.uncond, negative=None, words=None)
        inverted = self.inverted(replace(inputs, source=blank), backbone, self.denoiser(inputs, backbone, 1.0))
        return inverted.walked(self.denoiser(inputs, backbone, inputs.cfg_scale))
