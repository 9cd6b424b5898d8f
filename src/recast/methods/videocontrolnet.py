"""Frames as a video codec has them, I, P and B, made by diffusion: VideoControlNet, arXiv:2307.14073."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.propagation import keyframes
from recast.conditions.warping import fused, matched, shrunk, warped
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import truncated
from recast.diffusion.x0_hooks import encode_compensated
from recast.methods.keyframed import FrameWalks, KeyframeKnobs, OneLatent
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.types import Frames, Latents, Picks


@dataclass(frozen=True, kw_only=True)
class VideoControlNet(KeyframeKnobs, GuidanceKnobs):
    """Makes the first frame as an image, then each keyframe from the one before; frames between are interpolated.

    A keyframe is the one before warped along flow, and is made anew only where flow finds nothing: where a point comes
    into view (motion-guided P-frames, section 3.3). The frames between are carried from the two keyframes around them,
    each where it is visible (motion-guided B-frames, section 3.4). Steps x strength x branches x 2 / `keyframe_every`
    evaluations a frame. Runs over any backbone; structure is what it reads.

    Differs from the paper: what comes into view is filled by the same network, whose walk is held to the warped frame
    elsewhere, and not by an inpainting network; the keyframe before is beside it in the network; the first frame
    starts from the noised source; flow is DIS's; B-frames are blended by distance.
    """

    paper: ClassVar[str] = "VideoControlNet, arXiv:2307.14073"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True

    strength: UnitInterval = 1.0
    """How much is made anew: 1 all of it, 0 gives the source back."""
    keyframe_every: Annotated[int, Field(ge=1, le=256)] = 8
    """Frames from a keyframe to the next."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range; see `FrameWalks`."""
        walks = FrameWalks(inputs, backbone, self, backbone.encode(inputs.clip.frames))
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        if len(sigmas) == 1:
            return walks.source
        keys = keyframes(len(inputs.clip), self.keyframe_every)
        edited = [walks.alone(keys[0], sigmas)]
        for pair in pairwise(keys):
            edited.append(self._predicted(walks, edited[-1], torch.tensor(pair), sigmas))
        return walks.completed(torch.cat(edited), keys, sigmas[-1], self.between)

    def _predicted(self, walks: FrameWalks, before: OneLatent, picks: Picks, sigmas: list[float]) -> OneLatent:
        """The second of two keyframes from the first one: warped where it is visible, made anew elsewhere."""
        frames: Frames = walks.inputs.clip.frames
        flow, seen = matched(frames[picks[1:]], frames[picks[:1]], walks.inputs.flow)
        coder = walks.backbone
        with torch.no_grad():
            pixels = warped(coder.decode_pixels(before), flow)
            carried = encode_compensated(pixels, coder.encode_pixels, coder.decode_pixels)
        keep = shrunk(seen, carried.shape[-2:])
        start = fused(walks.source[picks[1:]], carried, keep)
        return walks.beside(before, start, keep, picks, sigmas)
