"""One frame edited, its new appearance passed on from frame to frame: after MagicProp, arXiv:2309.00908."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.conditions.warping import warped
from recast.denoising import DenoiseInputs
from recast.methods.keyframed import FrameWalks, first_and_later
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class MagicProp(GuidanceKnobs):
    """Edits the first frame as an image; each later frame takes its appearance from the one before it.

    What the edit changed in the frame before is carried along flow and added to the frame's own latents; noise up to
    `propagation` is put on them, and the walk back, given the frame's structure, mends what flow got wrong, with the
    frame before beside it in the network (section 3.3, autoregressive). What comes into view is given the change of
    its surroundings: without any it would be the source's, and stay so in all frames after.
    Steps x branches x 2 x `propagation` evaluations a frame. Runs over any backbone.

    Differs from the paper: its propagation network is trained on videos and reads the edited frame, the one before and
    depth as channels; here flow does that, so any backbone serves. The edited frame is always the first, and later
    frames get its change only by way of those between. Flow is DIS's.
    """

    paper: ClassVar[str] = "MagicProp, arXiv:2309.00908"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True
    needs_source: ClassVar[bool] = False

    strength: UnitInterval = 0.8
    """How much of the first frame is made anew: more follows the content; 0 gives the source back."""
    propagation: UnitInterval = 0.4
    """How much of each later frame is made anew, at most `strength`; 0 only carries the change along flow."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range; see `FrameWalks`."""
        sigmas, later = first_and_later(backbone.sigmas(inputs.steps), self.strength, self.propagation)
        source = backbone.encode(inputs.clip.frames)
        if len(sigmas) == 1:
            return source
        walks = FrameWalks(inputs, backbone, self, source)
        flow = ClipFlow.of(inputs.clip.frames, inputs.flow)
        nowhere = torch.zeros_like(source[:1, :1])
        edited = [walks.alone(0, sigmas)]
        for frame in range(1, len(source)):
            before = [frame - 1]
            change = warped(edited[-1] - source[before], flow.backward[before])
            pair = torch.tensor([frame - 1, frame])
            edited.append(walks.beside(edited[-1], source[[frame]] + change, nowhere, pair, later))
        return torch.cat(edited)
