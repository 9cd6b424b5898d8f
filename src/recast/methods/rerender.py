"""Keyframes that agree in shape, texture and colour, carried to the other frames: Rerender, arXiv:2306.07954."""

import re
from dataclasses import dataclass
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.conditions.propagation import keyframes
from recast.conditions.warping import Matches, fused, matched, shrunk, warped
from recast.denoising import DenoiseInputs, Denoiser
from recast.diffusion.excerpt import excerpt
from recast.diffusion.schedule import finish, truncated
from recast.diffusion.x0_hooks import Change, changed, encode_compensated, interval, match_statistics
from recast.methods.keyframed import FrameWalks, KeyframeKnobs, anchored
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.networks.attention_recipes import PassAttention, causal_in_pass
from recast.networks.recorded_features import LimitedHook
from recast.types import Latents, Maps

DECODER = re.compile(r"up_blocks\..*")
"""Layers on the way up, whose self-attention looks at two frames; equation 5."""


@dataclass(frozen=True, kw_only=True)
class Rerender(KeyframeKnobs, GuidanceKnobs):
    """Edits keyframes under four constraints, one a scale, and carries them along flow to the frames between.

    Style: in the decoder's self-attention a keyframe attends to the first and the one before. Shape: early on, the
    predicted clean latents are the first keyframe's, warped, where it is visible. Texture: a second walk is drawn to
    the first result fused in pixels with the warped first and previous keyframes. Colour: late, each channel's mean
    and deviation are the first keyframe's. Steps x strength x branches x 2 / `keyframe_every` evaluations a frame.

    Differs from the paper: keyframes walk together, so that the one before is at the same noise level; fusion acts on
    predicted clean latents; the last frame is a keyframe too; frames between are blended along flow, or made
    of patches by other rules than EbSynth's; flow is DIS's where the paper has GMFlow; structure is what the backbone
    reads.
    """

    paper: ClassVar[str] = "Rerender A Video, arXiv:2306.07954"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True

    strength: UnitInterval = 0.95
    """How much is made anew: more follows the content, less keeps the source; 0 gives the source back."""
    warp_until: UnitInterval = 0.1
    """The constraint of shape ends after this share of the walk; 0 is none."""
    fuse_from: UnitInterval = 0.5
    """The constraint of texture starts after this share of the second walk."""
    fuse_until: UnitInterval = 0.8
    """The constraint of texture ends after this share; where it starts, there is none, and no second walk."""
    fusion: UnitInterval = 0.5
    """How far the second walk is drawn to the fused pictures."""
    colour_from: UnitInterval = 0.8
    """The constraint of colour starts after this share of the walk; 1 is none."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range or too small a window."""
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        source = backbone.encode(inputs.clip.frames)
        if len(sigmas) == 1:
            return source
        keys = keyframes(len(inputs.clip), self.keyframe_every)
        picks, walks = torch.tensor(keys), FrameWalks(inputs, backbone, self, source)
        part, frames = excerpt(inputs, picks, source), inputs.clip.frames[picks]
        first = matched(frames, frames[:1].expand_as(frames), inputs.flow)
        noise = inputs.noise(source[:1]).expand_as(source[picks])  # the paper's one seed for all frames
        start = source[picks] + sigmas[0] * noise
        edited = self._walk(part, backbone, self._constrained(part, backbone, sigmas, first), start, sigmas)
        within = interval(sigmas, self.fuse_from, self.fuse_until)
        if len(keys) > 1 and self.fusion and within[0] < within[1]:
            before = frames[(torch.arange(len(keys)) - 1).clamp(min=0)]
            texture = self._texture(backbone, edited, first, matched(frames, before, inputs.flow))
            denoise = changed(self._constrained(part, backbone, sigmas, first), texture, within)
            edited = self._walk(part, backbone, denoise, start, sigmas)
        return walks.completed(edited, keys, sigmas[-1], self.between)

    def _walk(
        self, part: DenoiseInputs, backbone: Backbone, denoise: Denoiser, start: Latents, sigmas: list[float]
    ) -> Latents:
        with backbone.hooked(LimitedHook(hook=PassAttention(causal_in_pass), sites=DECODER)):
            x = part.sampler(denoise, start, sigmas, part.condition, step_hook=part.step_hook)
        return finish(x, sigmas[-1])

    def _constrained(self, part: DenoiseInputs, backbone: Backbone, sigmas: list[float], first: Matches) -> Denoiser:
        """The denoiser of one walk, held to the first keyframe's shape and colours."""

        def shaped(latents: Latents) -> Latents:
            brought = warped(latents[:1].expand_as(latents), first[0])
            return fused(latents, brought, shrunk(first[1], latents.shape[-2:]))

        size = min(part.window, backbone.max_frames)
        denoise = anchored(self.denoiser(part, backbone, part.cfg_scale), size)
        denoise = changed(denoise, shaped, interval(sigmas, 0, self.warp_until))
        return changed(denoise, lambda x0: match_statistics(x0, x0[:1]), interval(sigmas, self.colour_from, 1))

    @torch.no_grad()
    def _texture(self, backbone: Backbone, edited: Latents, first: Matches, previous: Matches) -> Change:
        pixels = fused_pixels(backbone.decode_pixels(edited), first, previous)
        wanted = encode_compensated(pixels, backbone.encode_pixels, backbone.decode_pixels)
        share = self.fusion * shrunk(torch.maximum(first[1], previous[1]), wanted.shape[-2:])
        return lambda latents: fused(latents, wanted, share)


def fused_pixels(pixels: Maps, first: Matches, previous: Matches) -> Maps:
    """Each picture as the fused one before it, warped, where visible; else the first one; else its own."""
    done = [pixels[:1]]
    for i, own in enumerate(pixels.split(1)[1:], 1):
        from_first = fused(own, warped(done[0], first[0][[i]]), first[1][[i]])
        done.append(fused(from_first, warped(done[-1], previous[0][[i]]), previous[1][[i]]))
    return torch.cat(done)
