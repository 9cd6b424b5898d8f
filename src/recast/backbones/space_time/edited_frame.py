"""A space-time UNet that is shown an edited frame, for the others to follow: CCEdit."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel

from recast.backbones.branches import with_structure
from recast.backbones.first_picture import covering
from recast.backbones.space_time.backbone import SpaceTimeBackbone
from recast.backbones.video_control import VideoControl
from recast.conditions.content import ContentInput, Medium
from recast.conditions.image import picture
from recast.control import FirstFrame
from recast.denoising import Branch
from recast.diffusion.parameterization import scale_input
from recast.errors import RequestError
from recast.networks.appearance import appearance_residuals, at_frame
from recast.networks.placement import first_weight
from recast.types import Condition, Latents, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class EditedFrameBackbone(SpaceTimeBackbone):
    """Depth, words, and the centre frame as it is to be, or any of these without the frame. arXiv:2309.16496.

    appearance: the branch that reads the edited frame. It acts in windows that hold that frame; in others the network
    reads words and depth alone. The paper makes longer clips from keyframes instead.
    """

    appearance: ControlNetModel = field(repr=False)

    @property
    def media(self) -> frozenset[Medium]:
        """Words, and a picture: the edited centre frame."""
        return frozenset(Medium)

    @property
    def reads_clip(self) -> bool:
        """No: its depth and one frame, which may be any."""
        return False

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """The words' tokens; the picture is read as the centre frame, by `with_control_video`."""
        return super().encode_content([each for each in inputs if each.medium is Medium.WORDS], seed=seed)

    @torch.no_grad()
    def with_control_video(self, condition: Condition, video: VideoControl, steps: int) -> Condition:
        """The condition with the clip's depth, and the picture that its centre frame is to become, where one is given.

        Raises RequestError for several pictures, MediaError for what is none, and what `check_structures` raises.
        """
        if video.structures:
            condition = self.with_structures(condition, video.structures, steps)
        if not video.pictures:
            return condition
        if len(video.pictures) > 1:
            raise RequestError(f"one frame is shown, the centre one, and {len(video.pictures)} were given; name one")
        centre = len(video.frames) // 2
        size = video.frames.shape[-2], video.frames.shape[-1]
        device = first_weight(self.vae).device
        wanted = self.encode(covering(picture(video.pictures[0]), size).to(device))
        own = self.encode(video.frames[centre : centre + 1].to(device))
        return replace(condition, first=FirstFrame(wanted, own, video.motion, video.first + centre))

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch; the edited frame acts alike in all of them."""
        numbers = list(range(len(x))) if condition.frames is None else condition.frames.tolist()
        if condition.first is None or condition.first.number not in numbers:
            return super().denoise_branches(x, sigma, condition, branches)
        index, like = numbers.index(condition.first.number), first_weight(self.appearance)
        read = with_structure(scale_input(x, sigma), condition, self._extra_channels)[index : index + 1]
        timestep = torch.tensor([float(self.schedule.sigma_to_timestep(sigma))], device=like.device)
        of_frame = appearance_residuals(
            self.appearance,
            read.to(like),
            timestep,
            self.null_tokens()[None].to(like),
            edited=condition.first.latents.to(like),
            kept=like.new_ones(1),
        )
        residuals = at_frame(of_frame, index, len(x))
        before = condition.residuals
        conditioned = replace(condition, residuals=residuals if before is None else before + residuals)
        return super().denoise_branches(x, sigma, conditioned, branches)
