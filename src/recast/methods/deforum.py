"""A structure-conditioned image model that starts each frame from its last result: after Deforum Stable Diffusion."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.conditions.warping import Matches, fused, matched, warped
from recast.denoising import DenoiseInputs
from recast.methods.images import ImageKnobs
from recast.methods.keyframed import FrameWalks, OneLatent, first_and_later
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.types import Frames, Latents


@dataclass(frozen=True, kw_only=True)
class Deforum(ImageKnobs):
    """Makes each frame as an image, given its structure, from the result before it, warped to it, with noise on it.

    A baseline: Gen-1 was compared with it (github.com/deforum/stable-diffusion; section 4.2). The first frame is made
    anew from noise. Steps x branches x `propagation` evaluations of each frame after it.

    Differs: results are warped by the source's optical flow (DIS), where Deforum warps by estimated depth and a camera
    path; what comes into view is the source's own.
    """

    paper: ClassVar[str] = "Deforum, baseline of arXiv:2302.03011"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True
    needs_source: ClassVar[bool] = False

    strength: UnitInterval = 1.0
    """How much of the first frame is made anew: 1 all of it, 0 gives the source back."""
    propagation: UnitInterval = 0.5
    """How much of each later frame is made anew from the warped result before it, at most `strength`."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range; see `FrameWalks`."""
        sigmas, later = first_and_later(backbone.sigmas(inputs.steps), self.strength, self.propagation)
        source, frames = backbone.encode(inputs.clip.frames), inputs.clip.frames
        if len(sigmas) == 1:
            return source
        walks = FrameWalks(inputs, backbone, self, source)
        first = self.walked(walks.part(0), backbone, 1.0) if self.strength == 1 else walks.alone(0, sigmas)
        edited = [first]
        for frame in range(1, len(source)):
            pair = frames[[frame - 1, frame]]
            matches = matched(pair[1:], pair[:1], inputs.flow)
            start = self._carried(edited[-1], matches, pair[1:].to(source.device), backbone)
            edited.append(walks.alone(frame, later, start))
        return torch.cat(edited)

    @torch.no_grad()
    def _carried(self, before: OneLatent, matches: Matches, frame: Frames, backbone: Backbone) -> OneLatent:
        """The result before as the next frame would show it; the source's own where it cannot be seen there."""
        flow, seen = matches
        own = frame.float() / 127.5 - 1
        brought = warped(backbone.decode_pixels(before).to(own), flow.to(own))
        return backbone.encode_pixels(fused(own, brought, seen))
