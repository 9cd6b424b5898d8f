"""Predicted pictures averaged along optical flow: MeDM, arXiv:2308.10079."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.conditions.tracks import PointTracks
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import finish, truncated
from recast.diffusion.x0_hooks import changed, interval, through_pixels
from recast.methods.keyframed import check_latents
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class MeDM(GuidanceKnobs):
    """Noises the source and walks back; at each step but the last, points that flow connects are given one colour.

    The predicted clean latents of all frames are decoded, all pixels of a trajectory are given their mean, and what is
    encoded again takes the prediction's place (section 3.2). Evaluations of the network are SDEdit's, steps x strength
    x branches a frame; the autoencoder decodes and encodes each frame once a step beside them, which `smooth_until`
    and `smooth_from` limit. Needs no hooks, no source prompt, and runs over any backbone.

    Differs from the paper: flow is DIS's, of the source, and not that of a renderer or a learned estimator; structure
    is what the backbone reads, and not a ControlNet's edges; a trajectory has at most one pixel a frame, where pixels
    that point at one are all its own in the published code; only the difference that the mean makes passes
    through the autoencoder, whose own loss would add up over the steps.
    """

    paper: ClassVar[str] = "MeDM, arXiv:2308.10079"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True
    needs_source: ClassVar[bool] = False

    strength: UnitInterval = 0.8
    """How much is made anew: more follows the content, less keeps the source; 0 gives the source back."""
    pull: UnitInterval = 1.0
    """How far the prediction goes to its mean along flow; 0 is no smoothing, 1 is the paper."""
    smooth_from: UnitInterval = 0.0
    """Smoothing starts after this share of the walk."""
    smooth_until: UnitInterval = 1.0
    """Smoothing ends after this share of the walk; the last step is never smoothed."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range; see `check_latents`."""
        check_latents(backbone)
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        low, high = interval(sigmas, self.smooth_from, self.smooth_until)
        tracks = PointTracks.of(ClipFlow.of(inputs.clip.frames, inputs.flow))

        steady = through_pixels(tracks.mean, backbone.encode_pixels, backbone.decode_pixels)

        def smoothed(latents: Latents) -> Latents:
            return torch.lerp(latents, steady(latents), self.pull) if self.pull else latents

        last_step = sigmas[-2] if len(sigmas) > 1 else sigmas[-1]
        denoise = changed(self.denoiser(inputs, backbone, inputs.cfg_scale), smoothed, (max(low, last_step), high))
        source = backbone.encode(inputs.clip.frames)
        start = source + sigmas[0] * inputs.noise(source)
        x = inputs.sampler(denoise, start, sigmas, inputs.condition, step_hook=inputs.step_hook)
        return finish(x, sigmas[-1])
