"""What methods need of a backbone, as data, and why a backbone lacks it."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from torch import Tensor

from recast.backbones.backbone import Backbone, PictureBackbone
from recast.backbones.video_control import VideoControlBackbone
from recast.conditions.content import Medium
from recast.errors import BackboneError
from recast.networks.hooks import Attend, AttentionCall, SiteKind


class Need(StrEnum):
    """What a backbone may lack that a method cannot do without."""

    HOOKS = "hooks on self-attention"
    """`Backbone.hooked` answers for layers of self-attention."""
    FRAME_LATENTS = "a latent for each frame"
    """`Backbone.temporal_stride` is 1."""
    PICTURE = "a network that reads the picture to edit"
    """It is a `PictureBackbone`."""
    FIRST_FRAME = "a network that starts a clip from a picture"
    """It reads a picture, and no words (Stable Video Diffusion)."""
    WORDS_AND_PICTURES = "content said in words and in pictures"
    """`Backbone.media` has both."""


def lacking(needs: Iterable[Need], backbone: Backbone) -> list[str]:
    """Why the backbone cannot serve these needs, a reason for each that it lacks; empty where it can."""
    reasons = (_REASONS[need](backbone) for need in sorted(needs))
    return [reason for reason in reasons if reason]


class _Probe:
    """A hook that changes nothing, on self-attention."""

    def interested(self, _site: str, kind: SiteKind) -> bool:
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        return attend(call)


def _unhooked(backbone: Backbone) -> str:
    try:
        with backbone.hooked(_Probe()):
            return ""
    except BackboneError as error:
        return f"hooks cannot be put on its attention: {error}"


def _shared_latents(backbone: Backbone) -> str:
    stride = backbone.temporal_stride
    return f"{stride} of its frames share a latent, and the method works on single frames" if stride > 1 else ""


def _unpictured(backbone: Backbone) -> str:
    if isinstance(backbone, PictureBackbone):
        return ""
    return "its network reads no picture to edit; take a folder of StableDiffusionInstructPix2PixPipeline"


def _no_first_frame(backbone: Backbone) -> str:
    # What is said in pictures alone, and read as a control video, is the first frame (docs/decisions/0049).
    starts = isinstance(backbone, VideoControlBackbone) and Medium.WORDS not in backbone.media
    return "" if starts else "it starts no clip from a picture; take svd"


def _one_medium(backbone: Backbone) -> str:
    missing = sorted(frozenset(Medium) - backbone.media)
    return f"it reads no content from a {missing[0]}; take a Gen-1 model" if missing else ""


_REASONS: dict[Need, Callable[[Backbone], str]] = {
    Need.HOOKS: _unhooked,
    Need.FRAME_LATENTS: _shared_latents,
    Need.PICTURE: _unpictured,
    Need.FIRST_FRAME: _no_first_frame,
    Need.WORDS_AND_PICTURES: _one_medium,
}
"""Why a backbone lacks what is needed; empty where it does not."""
