"""One noise for all frames, and attention to the first of them: Text2Video-Zero, arXiv:2303.13439."""

from dataclasses import dataclass
from typing import ClassVar

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import finish, truncated
from recast.methods.knobs import ContentGuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import from_shared_noise, in_windows, under_hooks
from recast.networks.attention_recipes import FrameBank, ReferenceAttention, anchored
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class Text2VideoZero(ContentGuidanceKnobs):
    """Makes every frame anew from the same noise, given its structure, with the keys and values of the first frame.

    arXiv:2303.13439, section 3.4: its conditional form, which edits clips. The first frame is what the image model
    makes of it. Needs attention hooks, and a model that reads a structure, or a strength below 1. Network evaluations
    of a frame: 2 a step. Windows attend to the clip's first frame too, as in the published code, so they change
    nothing.

    Differs: `strength` can start from the source under the shared noise; the temporal layers of a network that has them
    are off; there is no motion of the noise and no mask of the background, which are for clips made from words alone.
    """

    paper: ClassVar[str] = "Text2Video-Zero, arXiv:2303.13439"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})
    needs_source: ClassVar[bool] = False
    ensembles: ClassVar[bool] = False

    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError where nothing of the source would be left."""
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        start = from_shared_noise(inputs, backbone, self.strength, sigmas[0])
        first = ReferenceAttention(anchored(inputs.clip.first), FrameBank(frozenset({inputs.clip.first})))
        images = under_hooks(backbone, self.images(inputs, backbone, inputs.cfg_scale), first)
        denoise = in_windows(inputs, backbone, images)
        return finish(inputs.sampler(denoise, start, sigmas, inputs.condition, step_hook=inputs.step_hook), sigmas[-1])
