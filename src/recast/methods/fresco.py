"""Keyframes held to the source's correspondences, within frames and between them: FRESCO, arXiv:2403.12962."""

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.conditions.correspondence import ConsistentFeatures, CorrespondenceAttention, TrajectoriesOf
from recast.conditions.propagation import keyframes
from recast.denoising import DenoiseInputs
from recast.diffusion.excerpt import excerpt
from recast.diffusion.guidance import guided
from recast.diffusion.schedule import finish, truncated
from recast.diffusion.x0_hooks import interval
from recast.methods.keyframed import FrameWalks, KeyframeKnobs, anchored, trajectories_of
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import SourceHooks, beside, in_windows
from recast.networks.hooks import SiteKind
from recast.networks.recorded_attention import RecordAttention
from recast.networks.recorded_features import LimitedHook, RecordFeatures
from recast.types import Latents

ATTENTION, FEATURES = re.compile(r"up_blocks\..*attn1"), re.compile(r"up_blocks\.[01]")
"""In the decoder: self-attention, and the blocks whose features are moved."""


@dataclass(frozen=True, kw_only=True)
class FRESCO(KeyframeKnobs, GuidanceKnobs):
    """Edits keyframes by features and attention that keep to what the source's frames have alike, and where.

    arXiv:2403.12962. Keyframes walk together from their source under one noise. At each level the source, under the
    same noise and no content, is looked at first. Then, in the decoder, the edit's features are moved until they are
    alike where the source's are, within a frame and along optical flow (feature optimization), and its self-attention
    is guided by both (FRESCO-guided attention). The frames between are carried along flow. Network evaluations: 3 a
    step for each keyframe, steps x strength x 3 / `keyframe_every` a frame, and Adam on the features of two blocks.
    Needs attention and feature hooks. Windows of keyframes have the first of all and the last of the window before.

    Differs: keyframes stand at equal distances; flow is DIS's, in whole places of each grid; features are those after
    the first two blocks of the decoder; losses are means, so that the weight depends on no size, and the temporal one
    does not tie the last keyframe to the first, as the published code does; frames between are blended along flow, or
    made of patches by other rules than EbSynth's; structure is what the backbone reads; the background of the latents
    is not smoothed beside.
    """

    paper: ClassVar[str] = "FRESCO, arXiv:2403.12962"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True

    strength: UnitInterval = 0.75
    """How much is made anew: more follows the content, less keeps the source; 0 gives the source back."""
    moved_until: UnitInterval = 0.67
    """The share of the walk, from its first step on, in which features are moved; 0 never."""
    iterations: Annotated[int, Field(ge=1, le=200)] = 20
    """Of Adam, each time that features are moved."""
    sharpness: Annotated[float, Field(gt=0, le=1000)] = 0.2
    """Of the guided attention, 1 / lambda of the paper: the larger, the fewer places are mixed."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError for a knob outside its range, or too small a window."""
        sigmas = truncated(backbone.sigmas(inputs.steps), self.strength)
        source = backbone.encode(inputs.clip.frames)
        if len(sigmas) == 1:
            return source
        walks, keys = FrameWalks(inputs, backbone, self, source), keyframes(len(inputs.clip), self.keyframe_every)
        part = excerpt(inputs, torch.tensor(keys), source)
        clean, noise = source[keys], inputs.noise(source[:1])
        look = in_windows(part, backbone, guided(backbone.denoise_branches, 1.0))
        untold = replace(part.condition, cond=part.condition.uncond)
        edit = anchored(self.denoiser(part, backbone, part.cfg_scale), min(part.window, backbone.max_frames))
        hooks = partial(self._hooks, trajectories_of(part), interval(sigmas, 0, self.moved_until)[0])
        denoise = beside(backbone, edit, lambda sigma: look(clean + sigma * noise, sigma, untold), hooks)
        x = part.sampler(denoise, clean + sigmas[0] * noise, sigmas, part.condition, step_hook=part.step_hook)
        return walks.completed(finish(x, sigmas[-1]), keys, sigmas[-1], self.between)

    def _hooks(self, trajectories: TrajectoriesOf, moved_above: float) -> SourceHooks:
        attention = RecordAttention(parts=("q", "k"), kinds=frozenset({SiteKind.SELF}))
        features = RecordFeatures(kind=SiteKind.BLOCK, sites=FEATURES)
        moved = ConsistentFeatures(source=features, trajectories=trajectories, iterations=self.iterations)
        steered = CorrespondenceAttention(source=attention, trajectories=trajectories, sharpness=self.sharpness)
        edit = (LimitedHook(hook=moved, above=moved_above), LimitedHook(hook=steered, sites=ATTENTION))
        record = (features, LimitedHook(hook=attention, sites=ATTENTION))
        return SourceHooks(record, edit, (features.kept, attention.calls))
