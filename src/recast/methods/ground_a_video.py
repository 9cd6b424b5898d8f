"""Words held to boxes, and still places to one noise: Ground-A-Video, arXiv:2310.01107."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch

from recast.backbones.backbone import Backbone
from recast.conditions.flow import ClipFlow
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import BranchDenoiser
from recast.errors import RequestError
from recast.methods.boxes import Box, box_mask, box_of, carried
from recast.methods.keyframed import check_latents
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, InvertedInputs, under_hooks, wanted_first
from recast.networks.attention_recipes import ExtendedAttention
from recast.networks.grounding import GroundedWords
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class GroundAVideo(InversionKnobs, GuidanceKnobs):
    """Inverts the clip, gives still places one noise, and edits all frames together with words held to boxes.

    arXiv:2310.01107. Every place attends to the places of all frames. Where the source hardly moves, the inverted
    latents of a frame are those of the frame before (flow-guided smoothing). Each word that has a box is looked
    at inside of it alone, so that several edits in one prompt do not mix; boxes are of the first frame, and go along
    with the source's optical flow. Keeps the source by its structure, where the model reads one. Needs attention hooks,
    and, for boxes, a model that reads one prompt. Network evaluations of a frame: 2 a step to invert it, and 2 a step
    to edit it. In windows attention is to the window's frames. Draws nothing, so the seed changes nothing.

    Differs: boxes are masks of cross-attention, where the paper has GLIGEN's trained gated attention to boxes; they are
    carried by flow (DIS), where the paper has a box for each frame; what hardly moves is told by the clip's largest
    motion, where the published code takes that of each pair of frames; no null tokens are fitted (see
    `vid2vid-zero`); the network's temporal layers stay on.
    """

    paper: ClassVar[str] = "Ground-A-Video, arXiv:2310.01107"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True

    boxes: str = ""
    """Words of the prompt and where each goes in the first frame: "dog 0.1,0.2,0.5,0.9; tree 0.6,0,1,1", which are
    left, top, right and bottom as shares of the frame; none if not said."""
    still_below: UnitInterval = 0.2
    """Places whose motion is below this share of the clip's largest take the noise of the frame before; 0 none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.parsed

    @cached_property
    def parsed(self) -> tuple[tuple[str, Box], ...]:
        """The words and their boxes. Raises RequestError for what is none."""
        return tuple(_box(each) for each in self.boxes.split(";") if each.strip())

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, and for words that the prompt has not."""
        check_latents(backbone)
        flow = ClipFlow.of(inputs.clip.frames, inputs.flow)
        inverted = self.inverted(
            inputs, backbone, under_hooks(backbone, self.denoiser(inputs, backbone, 1.0), ExtendedAttention())
        )
        if len(inverted.inversion.sigmas) > 1 and self.still_below:
            inverted = _smoothed(inverted, flow, self.still_below)
        asked: BranchDenoiser = wanted_first(backbone.denoise_branches)
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale, asked)
        grounded = self._grounded(inputs, flow)
        return inverted.walked(under_hooks(backbone, edit, ExtendedAttention(), *grounded))

    def _grounded(self, inputs: DenoiseInputs, flow: ClipFlow) -> tuple[GroundedWords, ...]:
        if not self.parsed:
            return ()
        words, frames = inputs.condition.words, inputs.condition.frames
        if words is None:
            raise RequestError("this model does not read one prompt, so no word has a box; leave the boxes out")
        assert frames is not None, "the inputs number their frames"
        masks = [carried(box_mask(box, inputs.clip.size), flow) for _, box in self.parsed]
        numbered = [dict(zip(frames.tolist(), each, strict=True)) for each in masks]
        tokens = [words.of_word(word) for word, _ in self.parsed]
        return tuple(GroundedWords(*pair) for pair in zip(tokens, numbered, strict=True))


def still_noise(start: Latents, flow: ClipFlow, threshold: float) -> Latents:
    """Latents of which each frame has those of the frame before where flow is short.

    threshold: of its length, as a share of the clip's largest.
    """
    length = flow.backward.norm(dim=1, keepdim=True)
    still = length <= threshold * length.amax() if len(length) else length > 0
    share = torch.nn.functional.adaptive_max_pool2d((~still).to(start), start.shape[-2:])
    frames = [start[0]]
    for own, moves in zip(start[1:], share, strict=True):
        frames.append(torch.lerp(frames[-1], own, moves))
    return torch.stack(frames)


def _smoothed(inverted: InvertedInputs, flow: ClipFlow, threshold: float) -> InvertedInputs:
    start, *rest = inverted.inversion.trajectory
    return replace(
        inverted, inversion=replace(inverted.inversion, trajectory=[still_noise(start, flow, threshold), *rest])
    )


def _box(text: str) -> tuple[str, Box]:
    word, _, numbers = text.strip().partition(" ")
    return word, box_of(numbers, f"the box of {word!r}")
