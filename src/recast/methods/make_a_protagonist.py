"""A protagonist from a picture, all else from words: Make-A-Protagonist, arXiv:2305.08850."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.denoising import DenoiseInputs, StepHook
from recast.methods.boxes import Box, box_mask, box_of, carried
from recast.methods.keyframed import check_latents
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, InvertedInputs, under_hooks
from recast.networks.grounding import MaskedContents
from recast.types import Condition, Latents, Tokens


@dataclass(frozen=True, kw_only=True)
class MakeAProtagonist(InversionKnobs, GuidanceKnobs):
    """Inverts the clip, and walks back with a picture's content where the protagonist is, and the words' elsewhere.

    arXiv:2305.08850. Both are said, -p and --image; the mixture is made place by place in cross-attention. The
    protagonist is where `protagonist` says in the first frame, and from there goes along with the source's optical
    flow. Keeps the clip by its structure and its inverted latents. Meant for a network tuned on the clip (`recast tune
    --train tune-a-video`); runs on any that reads words and pictures. The published guidance is 12.5 (--cfg). Network
    evaluations of a frame: 2 a step to invert it, and 2 a step to edit it. Draws nothing, so the seed changes nothing.

    Differs: the masks are a box carried along flow, where the paper segments and tracks the protagonist; Gen-1 reads
    both contents by cross-attention, where Stable unCLIP adds them to features of its residual blocks, and the prompt
    besides; two predictions are not fused by the mask too, as the published default does; the clip is inverted under
    its own content; each step up is made anew once (`refinements`; the paper: not at all).
    """

    paper: ClassVar[str] = "Make-A-Protagonist, arXiv:2305.08850"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FRAME_LATENTS, Need.WORDS_AND_PICTURES})
    follows_flow: ClassVar[bool] = True
    pictures_apart: ClassVar[bool] = True

    protagonist: str = ""
    """Where it is in the first frame: "0.1,0.2,0.5,0.9", which are left, top, right and bottom as shares of the frame;
    everywhere if not said."""
    picture_weight: UnitInterval = 1.0
    """The picture's share of the content inside; the rest is the words'."""
    keep_background: bool = False
    """Whether latents outside stay the source's; if not they are made anew from the words."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.box

    @cached_property
    def box(self) -> Box:
        """Where the protagonist is. Raises RequestError for what is no box."""
        return box_of(self.protagonist, "the protagonist") if self.protagonist else (0.0, 0.0, 1.0, 1.0)

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents; without a picture of the words alone. Raises RequestError without a source."""
        check_latents(backbone)
        inverted = self.inverted(inputs, backbone, self.denoiser(inputs, backbone, 1.0))
        words = inputs.condition.cond
        picture = words if inputs.pictured is None else torch.lerp(words, inputs.pictured, self.picture_weight)
        both = _behind(inputs.condition, picture)
        masks = self._masks(inputs)
        assert both.frames is not None, "the inputs number their frames"
        by_frame = dict(zip(both.frames.tolist(), masks, strict=True))
        hook = MaskedContents(picture.shape[-2], words.shape[-2], by_frame)
        edit = under_hooks(backbone, self.denoiser(inputs, backbone, inputs.cfg_scale), hook)
        walk = replace(inverted, inputs=replace(inputs, condition=both))
        return walk.walked(edit, _kept(inverted, masks) if self.keep_background else None)

    def _masks(self, inputs: DenoiseInputs) -> Float[Tensor, "t 1 h w"]:
        whole = box_mask(self.box, inputs.clip.size)
        if not self.protagonist:
            return whole.expand(len(inputs.clip), -1, -1, -1)
        return carried(whole, ClipFlow.of(inputs.clip.frames, inputs.flow))


def _behind(condition: Condition, picture: Tokens) -> Condition:
    """The condition with a picture's tokens before the words'; all other tokens twice, which is as once."""
    words, null, negative = condition.cond, condition.uncond, condition.negative
    twice = None if negative is None else _joined(negative, negative)
    return replace(condition, cond=_joined(picture, words), uncond=_joined(null, null), negative=twice)


def _joined(first: Float[Tensor, "*t n d"], second: Float[Tensor, "*u n d"]) -> Float[Tensor, "*v m d"]:
    """One content behind the other, for each frame where one of them is."""
    shape = torch.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    return torch.cat([each.expand(*shape, -1, -1) for each in (first, second)], dim=-2)


def _kept(inverted: InvertedInputs, masks: Float[Tensor, "t 1 h w"]) -> StepHook:
    """The inverted source's latents outside of the masks, after each step."""
    inputs, inversion = inverted.inputs, inverted.inversion
    inside = F.adaptive_max_pool2d(masks, inversion.trajectory[0].shape[-2:])

    def step_hook(x: Latents, sigma: float, /) -> Latents:
        return inputs.step_hook(torch.lerp(inversion.at(sigma), x, inside.to(x)), sigma)

    return step_hook
