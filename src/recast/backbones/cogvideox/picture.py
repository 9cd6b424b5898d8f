"""CogVideoX 5B-I2V as a backbone: words, and a picture that the clip starts with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.cogvideox.backbone import CogVideoXBackbone
from recast.backbones.first_picture import first_pictures
from recast.backbones.video_control import VideoControl
from recast.backbones.video_transformer import Videos
from recast.conditions.content import ContentInput, Medium
from recast.control import FirstFrame
from recast.errors import BackboneError, ShapeError
from recast.networks.placement import first_weight
from recast.types import Condition, Frames, Latents, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class CogVideoXPictureBackbone(CogVideoXBackbone):
    """A network that reads the picture's latent beside the first one of the clip, and zeros beside the others.

    The picture is in every branch, as in the pipeline: guidance is by words. Positions were
    learned for one size; of clips of another length than in training they are sines, as in diffusers.
    Differs: the picture is the mean of its distribution, where the pipeline draws from it.
    """

    @property
    def media(self) -> frozenset[Medium]:
        """Words, and a picture."""
        return frozenset(Medium)

    @property
    def reads_clip(self) -> bool:
        """No: the picture alone, which may be any."""
        return False

    @property
    def starts_with_picture(self) -> bool:
        """Yes."""
        return True

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """The tokens of the words alone: the picture is in the condition."""
        return super().encode_content([each for each in inputs if each.medium is Medium.WORDS], seed=seed)

    @torch.no_grad()
    def with_control_video(self, condition: Condition, video: VideoControl, steps: int) -> Condition:
        """The condition with the latent of the first frame: the picture, or the clip's own where none is given.

        Raises BackboneError for a structure, and what `first_pictures` raises.
        """
        if video.structures:
            self.check_structures(video.structures, steps)
        wanted, source = (self._scaled(each) for each in first_pictures(video))
        return replace(condition, first=FirstFrame(wanted, source, video.motion, video.first))

    def _scaled(self, frame: Frames) -> Latents:
        """A frame's latent, at the scale that the network was trained to read."""
        config = self.autoencoder.network.config
        latent = self.encode(frame.to(first_weight(self.network).device))
        # Published networks but the first were trained on what is divided by the factor where it should multiply.
        return latent / config.scaling_factor**2 if config.invert_scale_latents else latent

    def _given(self, videos: Videos, condition: Condition, *, apart: bool) -> Float[Tensor, "b channels t y x"]:
        first = condition.first
        if first is None:
            raise BackboneError("this model starts a clip from a picture and was given none; say --image FILE")
        self._check_places(videos, first)
        frames = condition.frames
        if frames is not None and not apart and int(frames[0]) != first.number:
            wrong = f"the picture is frame {first.number}, and a window starts at frame {int(frames[0])}"
            raise BackboneError(f"{wrong}: take one window for the whole clip (--window), or fewer frames")
        beside = repeat(first.latents.to(videos), "1 c y x -> b c 1 y x", b=len(videos))
        return torch.cat([videos, F.pad(beside, (0, 0, 0, 0, 0, videos.shape[2] - 1))], dim=1)

    def _check_places(self, videos: Videos, first: FirstFrame) -> None:
        rows, columns = videos.shape[-2:]
        config, own = self.network.config, tuple(first.latents.shape[-2:])
        if own != (rows, columns):
            wrong = f"frames of {rows}x{columns} latents cannot start with a picture of {own[0]}x{own[1]}"
            raise BackboneError(f"{wrong}; take a method that edits frames at their own size")
        if config.use_learned_positional_embeddings and (rows, columns) != (config.sample_height, config.sample_width):
            side = self.autoencoder.pixel_stride
            trained = f"{config.sample_width * side}x{config.sample_height * side}"
            wrong = f"this model's positions were learned for clips of {trained}, and this one is of"
            raise ShapeError(f"{wrong} {columns * side}x{rows * side}; say --size {trained}")
