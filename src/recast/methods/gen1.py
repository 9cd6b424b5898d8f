"""Structure- and content-guided video synthesis: Gen-1, arXiv:2302.03011."""

from dataclasses import dataclass
from math import hypot
from typing import Annotated, ClassVar

from einops import repeat
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.diffusion.ensemble import ensembled
from recast.diffusion.guidance import guided
from recast.diffusion.schedule import finish, truncated
from recast.diffusion.windows import windowed
from recast.types import DenoiseInputs, Kind, Latents

UnitInterval = Annotated[float, Field(ge=0, le=1)]
"""A share of a whole, 0..1."""


@dataclass(frozen=True, kw_only=True)
class Gen1:
    """Makes the clip anew from noise, told its structure and the wanted content. arXiv:2302.03011.

    Differs: clips longer than the network sees go through in overlapping windows, `strength` can start the walk from
    the source, and answers may be averaged over noise; the paper has none of these.
    """

    needs: ClassVar[frozenset[Kind]] = frozenset()
    needs_source: ClassVar[bool] = False

    temporal_guidance: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Temporal guidance, omega_t of equation 8: 1 is none, more is smoother over time, less is livelier."""
    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""
    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    """The share of its frames that a window has in common with the next one."""
    guided_from: UnitInterval = 0.0
    """Content guidance starts after this share of a full walk; 0 guides from the first step."""
    guided_until: UnitInterval = 1.0
    """Content guidance ends after this share of a full walk; 1 guides to the last step."""

    def __call__(self, shot: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range."""
        walk = backbone.sigmas(shot.steps)
        sigmas = truncated(walk, self.strength)
        size = min(shot.window, backbone.max_frames)
        edges = [round(share * (len(walk) - 1)) for share in (self.guided_until, self.guided_from)]
        within = (walk[edges[0]], walk[edges[1]])
        steady = guided(backbone.denoise_branches, shot.cfg_scale, self.temporal_guidance, within)
        denoise = ensembled(windowed(steady, size, int(self.overlap * size)), shot.ensemble, shot.noise)
        start = self._start(shot, backbone, sigmas[0])
        x = shot.sampler(denoise, start, sigmas, shot.condition, step_hook=shot.step_hook)
        return finish(x, sigmas[-1])

    def _start(self, shot: DenoiseInputs, backbone: Backbone, sigma: float) -> Latents:
        if self.strength < 1:
            source = backbone.encode(shot.clip.frames)
            return source + sigma * shot.noise(source)
        like = repeat(backbone.encode(shot.clip.frames[:1]), "1 c h w -> t c h w", t=len(shot.clip))
        # As large as unit-variance latents with this noise on them would be: the network never saw noise alone.
        return hypot(1, sigma) * shot.noise(like)
