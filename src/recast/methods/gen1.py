"""Structure- and content-guided video synthesis: Gen-1, arXiv:2302.03011."""

from dataclasses import dataclass, replace
from math import hypot
from typing import ClassVar

import torch
from einops import repeat

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.excerpt import in_turn
from recast.diffusion.schedule import finish, truncated
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.word_weights import WEIGHT, WordWeightKnobs
from recast.types import Latents, latent_count


@dataclass(frozen=True, kw_only=True)
class Gen1(WordWeightKnobs, GuidanceKnobs):
    """Makes the clip anew from noise, conditioned on its structure and the target content. arXiv:2302.03011.

    Differs: clips longer than the network sees go through in overlapping windows, `strength` can start the walk from
    the source, answers may be averaged over noise, and settings may change over the frames; the paper has none of this.
    """

    paper: ClassVar[str] = "Gen-1, arXiv:2302.03011"
    needs: ClassVar[frozenset[Need]] = frozenset()
    needs_source: ClassVar[bool] = False
    over_time: ClassVar[frozenset[str]] = frozenset(
        {"words", "pictures", "structure_detail", "cfg", "temporal_guidance", "strength", "clip_guidance", WEIGHT}
    )

    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range."""
        strength, frames = inputs.curves.get("strength"), inputs.clip.latent_frames(backbone.temporal_stride)
        if strength is not None:
            return self._walked_from(strength.at(frames).tolist(), inputs, backbone)
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        if self.strength == 1:
            return self._walked(_pure_noise(inputs, backbone, sigmas[0]), sigmas, inputs, backbone)
        source = backbone.encode(inputs.clip.frames)
        return self._walked(source + sigmas[0] * inputs.noise(source), sigmas, inputs, backbone)

    def _walked(self, start: Latents, sigmas: list[float], inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        cfg = inputs.curves.get("cfg", inputs.cfg_scale)
        denoise = self.denoiser(inputs, backbone, cfg, self.weighed(inputs, backbone))
        x = inputs.sampler(denoise, start, sigmas, inputs.condition, step_hook=inputs.step_hook)
        return finish(x, sigmas[-1])

    def _walked_from(self, strengths: list[float], inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """Each frame from the level of its own strength: until then it is the source with that level's noise."""
        levels = backbone.sigmas(inputs.steps)
        sigmas = truncated(levels, max(strengths))
        source = backbone.encode(inputs.clip.frames)
        noise = inputs.noise(source)
        own = torch.tensor([truncated(levels, each)[0] for each in strengths]).to(source)[:, None, None, None]
        start = source + sigmas[0] * noise
        if max(strengths) == 1:
            whole = torch.tensor(strengths).to(source)[:, None, None, None] == 1
            start = torch.where(whole, _pure_noise(inputs, backbone, sigmas[0]), start)

        def held(x: Latents, sigma: float, /) -> Latents:
            return torch.where(own <= sigma, source + sigma * noise, x)

        return self._walked(start, sigmas, replace(inputs, step_hook=in_turn(held, inputs.step_hook)), backbone)


def _pure_noise(inputs: DenoiseInputs, backbone: Backbone, sigma: float) -> Latents:
    """As large as unit-variance latents with this noise on them would be: the network never saw noise alone."""
    count = latent_count(len(inputs.clip), backbone.temporal_stride)
    like = repeat(backbone.encode(inputs.clip.frames[:1]), "1 c h w -> t c h w", t=count)
    return hypot(1, sigma) * inputs.noise(like)
