"""VACE as a backbone: Wan told by a control video, by what of the clip is kept, and by pictures. arXiv:2503.07598."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from recast.backbones.autoencoder import as_pixels
from recast.backbones.branches import acting_sigmas, check_kind, sole
from recast.backbones.video_autoencoder import filled
from recast.backbones.video_control import VideoControl
from recast.backbones.video_transformer import Videos
from recast.backbones.wan.backbone import WanBackbone
from recast.conditions.content import ContentInput, Medium
from recast.conditions.detail import as_pictures, softened
from recast.conditions.image import picture
from recast.control import Control, ReferenceLatents
from recast.diffusion.parameterization import Prediction, scale_input
from recast.errors import BackboneError, RequestError
from recast.types import Condition, Kind, Maps, Structure, StructureUse, Tokens

Pixels = Float[Tensor, "t 3 h w"]
Planes = Float[Tensor, "latents planes y x"]
REFERENCE_NOISE = 2**40
"""Added to the seed for the noise of pictures, which is none of the clip's."""


@dataclass(frozen=True, eq=False, kw_only=True)
class WanVACEBackbone(WanBackbone):
    """WanVACETransformer3DModel: a control branch reads, for each latent, what is kept, what controls, and which.

    Structure acts with a weight and in a range. Pictures stand before the clip as latents of their own. Differs: these
    are known, so they are the pictures' latents under noise of each level, where the pipeline samples them anew.
    """

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """Those that recast.json names; depth where it names none. VACE was trained on depth, poses and others."""
        return frozenset(map(Kind, self.metadata.structures))

    @property
    def media(self) -> frozenset[Medium]:
        """Words, and pictures."""
        return frozenset(Medium)

    @property
    def reads_clip(self) -> bool:
        """No: where all of it is made anew, the control video is grey."""
        return False

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """The tokens of the words alone: pictures are in the control video. Raises RequestError for their weights."""
        weights = {each.weight for each in inputs if each.medium is Medium.PICTURE}
        if len(weights) > 1:
            raise RequestError("this model sees several pictures alike, so they have one weight; leave weights out")
        return super().encode_content([each for each in inputs if each.medium is Medium.WORDS], seed=seed)

    def structure_channels(self, structure: Structure) -> Maps:
        """The softened maps as a control video, all of the clip made anew: planes for each latent.

        Raises BackboneError for another kind of structure.
        """
        check_kind(structure, self.structure_kinds)
        return self._planes(self._drawn(structure), None)

    def check_structures(self, structures: Sequence[StructureUse], steps: int) -> None:
        """Raises BackboneError for another kind or several, RequestError for a range that holds no step."""
        check_kind(sole(structures), self.structure_kinds)
        acting_sigmas(self.sigmas(steps), structures[0])

    def with_structures(self, condition: Condition, structures: Sequence[Structure], steps: int) -> Condition:
        """The condition with the structure's control video. Raises what `check_structures` raises."""
        self.check_structures(structures, steps)
        planes = self.structure_channels(structures[0])
        return replace(condition, structure_channels=None, controls=(self._control(structures[0], planes, steps),))

    @torch.no_grad()
    def with_control_video(self, condition: Condition, video: VideoControl, steps: int) -> Condition:
        """The condition with a control video, what is kept of the clip, and pictures before it."""
        if video.structures:
            self.check_structures(video.structures, steps)
        shown = as_pixels(video.frames.to(self._device))
        drawn = self._drawn(video.structures[0]) if video.structures else torch.zeros_like(shown)
        edited = None if video.edited is None else (video.edited > 0.5).to(shown)
        kept = None if edited is None else shown * (1 - edited)
        planes = self._planes(drawn if edited is None else drawn * edited, kept, edited)
        references = self._references(video, (shown.shape[-2], shown.shape[-1])) if video.pictures else None
        held = replace(condition, references=references)
        if not video.structures:
            return replace(held, structure_channels=planes)
        return replace(held, controls=(self._control(video.structures[0], planes, steps),))

    def _answered(
        self, videos: Videos, sigma: float, condition: Condition, tokens: Float[Tensor, "b n d"], *, apart: bool
    ) -> Videos:
        network, references = self._at(sigma), condition.references
        like = network.patch_embedding.weight
        planes, weight = self._acting(condition, sigma)
        branches = len(videos) // (len(planes) if apart else 1)
        control = repeat(planes, "t c y x -> (b t) c 1 y x" if apart else "t c y x -> b c t y x", b=branches)
        first = 0 if references is None else len(references.planes)
        if references is not None:
            known = scale_input(references.clean + sigma * references.noise, sigma, Prediction.FLOW)
            videos, control = _behind(known, videos), _behind(references.planes, control)
        answer = network(
            videos.to(like),
            self._timesteps(sigma, len(videos)),
            tokens.to(like),
            control_hidden_states=control.to(like),
            control_hidden_states_scale=like.new_full((len(network.config.vace_layers),), weight),
            return_dict=False,
        )[0]
        return answer[:, :, first:]

    def _acting(self, condition: Condition, sigma: float) -> tuple[Maps, float]:
        """The control video's planes, and how strongly they act. Raises BackboneError for none, or others."""
        controls, planes, weight = condition.controls, condition.structure_channels, 1.0
        if controls and planes is None:
            planes = controls[0].pictures
            weight = controls[0].weight if controls[0].acts_at(sigma) else 0.0
        wanted, given = self.network.config.vace_in_channels, 0 if planes is None else planes.shape[1]
        if planes is None or given != wanted:
            raise BackboneError(f"the model needs {wanted} structure channels and was given {given or 'none'}")
        return planes, weight

    def _control(self, structure: Structure, planes: Maps, steps: int) -> Control:
        return Control(structure.kind, planes, structure.weight, acting_sigmas(self.sigmas(steps), structure))

    def _drawn(self, structure: Structure) -> Pixels:
        """The softened maps as a control video of -1..1."""
        return as_pictures(softened(structure.maps, structure.detail, self.trained_side)).to(self._device) * 2 - 1

    def _planes(self, control: Pixels, kept: Pixels | None, edited: Float[Tensor, "t 1 h w"] | None = None) -> Planes:
        """For each latent: what is kept of the clip, what controls the rest, and where that is, pixel by pixel."""
        still = self.encode_pixels(torch.zeros_like(control) if kept is None else kept)
        moving = self.encode_pixels(control)
        where = torch.ones_like(control[:, :1]) if edited is None else edited
        side, whole = self.autoencoder.pixel_stride, filled(where, self.temporal_stride)
        places = rearrange(whole, "t 1 (y r) (x q) -> 1 (r q) t y x", r=side, q=side)
        picked = F.interpolate(places, (len(still), *places.shape[-2:]), mode="nearest-exact")
        return torch.cat([still, moving, rearrange(picked, "1 c t y x -> t c y x")], dim=1)

    def _references(self, video: VideoControl, size: tuple[int, int]) -> ReferenceLatents:
        """Pictures as latents before the clip's; the one that is named first stands nearest to it."""
        clean = torch.cat([self.encode_pixels(_on_white(path, size).to(self._device)) for path in video.pictures[::-1]])
        nothing = clean.new_zeros(len(clean), self.network.config.vace_in_channels - clean.shape[1], *clean.shape[-2:])
        rng = torch.Generator().manual_seed(REFERENCE_NOISE + video.seed)
        noise = torch.randn(clean.shape, generator=rng).to(clean)
        return ReferenceLatents(torch.cat([clean, nothing], dim=1), clean, noise)

    @property
    def _device(self) -> torch.device:
        return self.network.patch_embedding.weight.device


def _behind(first: Float[Tensor, "r c y x"], videos: Videos) -> Float[Tensor, "b c whole y x"]:
    """Latents, the same for all clips, before those of each."""
    return torch.cat([repeat(first, "r c y x -> b c r y x", b=len(videos)).to(videos), videos], dim=2)


def _on_white(path: str, size: tuple[int, int]) -> Float[Tensor, "1 3 h w"]:
    """A picture, whole and as large as the clip's frames have room for, in the middle of white, -1..1."""
    shown = as_pixels(picture(path)[None])
    scale = min(size[0] / shown.shape[-2], size[1] / shown.shape[-1])
    rows, columns = (max(1, int(side * scale)) for side in (shown.shape[-2], shown.shape[-1]))
    small = F.interpolate(shown, (rows, columns), mode="bilinear", align_corners=False)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    around = (left, size[1] - columns - left, top, size[0] - rows - top)
    return F.pad(small, around, value=1.0)
