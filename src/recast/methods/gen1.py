"""Structure- and content-guided video synthesis: Gen-1, arXiv:2302.03011."""

from dataclasses import dataclass
from math import hypot
from typing import ClassVar

from einops import repeat

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import finish, truncated
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.types import Latents, latent_count


@dataclass(frozen=True, kw_only=True)
class Gen1(GuidanceKnobs):
    """Makes the clip anew from noise, conditioned on its structure and the target content. arXiv:2302.03011.

    Differs: clips longer than the network sees go through in overlapping windows, `strength` can start the walk from
    the source, and answers may be averaged over noise; the paper has none of these.
    """

    paper: ClassVar[str] = "Gen-1, arXiv:2302.03011"
    needs: ClassVar[frozenset[Need]] = frozenset()
    needs_source: ClassVar[bool] = False

    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range."""
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        denoise = self.denoiser(inputs, backbone, inputs.cfg_scale)
        start = self._start(inputs, backbone, sigmas[0])
        x = inputs.sampler(denoise, start, sigmas, inputs.condition, step_hook=inputs.step_hook)
        return finish(x, sigmas[-1])

    def _start(self, inputs: DenoiseInputs, backbone: Backbone, sigma: float) -> Latents:
        if self.strength < 1:
            source = backbone.encode(inputs.clip.frames)
            return source + sigma * inputs.noise(source)
        count = latent_count(len(inputs.clip), backbone.temporal_stride)
        like = repeat(backbone.encode(inputs.clip.frames[:1]), "1 c h w -> t c h w", t=count)
        # As large as unit-variance latents with this noise on them would be: the network never saw noise alone.
        return hypot(1, sigma) * inputs.noise(like)
