"""SDEdit of the first frame, carried through the clip: after the baseline "IVS" of Gen-1, arXiv:2302.03011."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.conditions.propagation import carried_onward, colour_mapped
from recast.conditions.warping import fused
from recast.denoising import DenoiseInputs
from recast.diffusion.schedule import truncated
from recast.methods.images import ImageKnobs
from recast.methods.keyframed import FrameWalks
from recast.methods.needs import Need
from recast.methods.unstructured import NoisedSourceKnobs, unstructured
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class SDEditPropagated(NoisedSourceKnobs, ImageKnobs):
    """Noises the first frame and denoises it as an image, without structure; optical flow carries it to all others.

    A baseline: Gen-1 was compared with SDEdit of the first frame that a few-shot stylization network carries on
    (Texler et al. 2020; section 4.2). Steps x branches x `strength` evaluations for the whole clip.

    Differs from that: flow (DIS) carries pixels. What comes into view has nothing to be carried to it; it gets the
    source's own pixels by the affine map of colours that fits the first frame's edit best.
    """

    paper: ClassVar[str] = "SDEdit of the first frame, propagated; baseline of arXiv:2302.03011"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range; see `FrameWalks`."""
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        source = backbone.encode(inputs.clip.frames)
        if len(sigmas) == 1:
            return source
        bare = unstructured(inputs, backbone)
        walks = FrameWalks(bare, backbone, self, source)
        first = walks.alone(0, sigmas)
        with torch.no_grad():
            picture = backbone.decode_pixels(first)
            carried, seen = carried_onward(picture, ClipFlow.of(inputs.clip.frames, inputs.flow))
            frames = inputs.clip.frames.to(picture) / 127.5 - 1
            mapped = colour_mapped(frames, frames[:1], picture).clamp(-1, 1)
        return walks.with_pixels(first, [0], fused(mapped, carried, seen), sigmas[-1])
