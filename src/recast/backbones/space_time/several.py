"""Space-time UNets that are conditioned on any subset of several structures, or on poses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from recast.backbones.branches import check_kind
from recast.backbones.space_time.backbone import SpaceTimeBackbone
from recast.backbones.stable_diffusion.structure_controls import StructureControls
from recast.conditions.blend import blended
from recast.conditions.content import ContentInput, Medium
from recast.conditions.detail import softened
from recast.conditions.image import ImageEncoder, picture
from recast.control import Control, ControlResiduals
from recast.denoising import Branch
from recast.errors import BackboneError
from recast.networks.condition_encoder import ConditionEncoder
from recast.networks.placement import first_weight
from recast.networks.pose_encoder import PoseEncoder
from recast.types import Condition, Frames, Kind, Latents, Maps, Structure, Tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionedSpaceTime(StructureControls, SpaceTimeBackbone):
    """A space-time UNet with a network beside it that reads structures; none needs to be given."""

    def structure_channels(self, structure: Structure) -> Maps:
        """The softened maps, 0..1 at the clip's size. Raises BackboneError for another kind of structure."""
        check_kind(structure, self.structure_kinds)
        maps = softened(structure.maps, structure.detail, self.trained_side)
        return maps.to(first_weight(self.unet).device)

    def _acting(self, condition: Condition, sigma: float) -> dict[str, Control]:
        """The controls that act at a level, by kind. Raises BackboneError for a kind that the network does not read.

        Structure channels of a condition are those of the first kind that has as many.
        """
        controls = condition.controls
        if condition.structure_channels is not None:
            given = condition.structure_channels.shape[1]
            fitting = [kind for kind in Kind if kind in self.structure_kinds and kind.channels == given]
            if controls or not fitting:
                known = " or ".join(sorted({str(kind.channels) for kind in self.structure_kinds}))
                raise BackboneError(f"the model needs {known} structure channels and was given {given}")
            controls = (Control(fitting[0], condition.structure_channels),)
        for control in controls:
            if control.kind not in self.structure_kinds:
                known = ", ".join(sorted(self.structure_kinds))
                raise BackboneError(f"this model was not trained with {control.kind}; it reads {known}")
        return {control.kind: control for control in controls if control.acts_at(sigma)}


@dataclass(frozen=True, eq=False, kw_only=True)
class ComposedBackbone(ConditionedSpaceTime):
    """VideoComposer (arXiv:2306.02018): words, maps of several kinds, and a picture, or any subset of these.

    What is not given adds nothing, as where training dropped it. encoder: reads maps and the picture's embedding.
    image_encoder: makes that embedding, where a picture is read.
    """

    encoder: ConditionEncoder
    image_encoder: ImageEncoder | None = None

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """Those that its encoder was trained with."""
        return frozenset(map(Kind, self.encoder.kinds))

    @property
    def media(self) -> frozenset[Medium]:
        """Words, and pictures where they are read."""
        return frozenset({Medium.WORDS} if self.image_encoder is None else Medium)

    def encode_content(self, inputs: Sequence[ContentInput], *, seed: int = 0) -> Tokens:
        """The words' tokens, and behind them the pictures', each blended by weight among its own."""
        words = super().encode_content([each for each in inputs if each.medium is Medium.WORDS], seed=seed)
        shown = [each for each in inputs if each.medium is Medium.PICTURE]
        if self.image_encoder is None or not shown:
            return words if self.image_encoder is None and not shown else self._with_picture(words, None)
        parts = [
            (F.normalize(self.image_encoder.embeddings(picture(each.text)[None])[0], dim=0), each.weight)
            for each in shown
        ]
        return self._with_picture(words, blended(parts))

    def source_content(self, frames: Frames) -> Tokens:
        """No words, and the mean of the frames as a picture, where pictures are read."""
        if self.image_encoder is None:
            return super().source_content(frames)
        mean = F.normalize(self.image_encoder.embeddings(frames), dim=-1).mean(0)
        return self._with_picture(self.prompt(""), F.normalize(mean, dim=0))

    def null_tokens(self) -> Tokens:
        """The tokens of empty words, and zeros for no picture, as in training."""
        return self.prompt("") if self.image_encoder is None else self._with_picture(self.prompt(""), None)

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch. Raises BackboneError for a kind that it does not read."""
        planes = self._planes(x, self._acting(condition, sigma))
        return super().denoise_branches(x, sigma, replace(condition, structure_channels=planes, controls=()), branches)

    def _planes(self, x: Latents, acting: Mapping[str, Control]) -> Float[Tensor, "t planes y x"]:
        """The maps as input channels: of frames that see each other, and behind them of each by itself."""
        like = first_weight(self.encoder)
        conditions = {kind: control.pictures[None].to(like) for kind, control in acting.items()}
        kept = {kind: like.new_tensor([control.weight]) for kind, control in acting.items()}
        ways = (
            self.encoder.planes(conditions, kept, x[None].to(like), over_time=way)[0] for way in (len(x) > 1, False)
        )
        return torch.cat([way.to(x) for way in ways], dim=1)

    def _batched(
        self, inputs: Float[Tensor, "t channels y x"], branches: Mapping[int, Branch]
    ) -> Float[Tensor, "rows read y x"]:
        width = self.encoder.width
        latents, over_time, alone = inputs.split([inputs.shape[1] - 2 * width, width, width], dim=1)
        together, apart = torch.cat([latents, over_time], dim=1), torch.cat([latents, alone], dim=1)
        return torch.cat([together if temporal else apart for temporal in self._temporal(branches, len(inputs))])

    def _with_picture(self, words: Float[Tensor, "places d"], embedding: Float[Tensor, " e"] | None) -> Tokens:
        like = first_weight(self.encoder)
        if embedding is None:
            shown = self.encoder.null_tokens()
        else:
            shown = self.encoder.picture_tokens(embedding[None].to(like), like.new_ones(1))[0]
        return torch.cat([words, shown.to(words)], dim=-2)

    @property
    def _extra_channels(self) -> int:
        return 2 * self.encoder.width


@dataclass(frozen=True, eq=False, kw_only=True)
class PosedBackbone(ConditionedSpaceTime):
    """Follow-Your-Pose (arXiv:2304.01186): words, and pictures of poses as residuals. poses: the encoder of these."""

    poses: PoseEncoder = field(repr=False)

    @property
    def structure_kinds(self) -> frozenset[Kind]:
        """Poses."""
        return frozenset({Kind.POSE})

    def denoise_branches(
        self, x: Latents, sigma: float, condition: Condition, branches: Sequence[Branch]
    ) -> list[Latents]:
        """One guess at the clean latents for each branch. Raises BackboneError for another kind of structure."""
        pose = self._acting(condition, sigma).get(Kind.POSE)
        bare = replace(condition, structure_channels=None, controls=())
        if pose is not None:
            made = self.poses(pose.pictures.to(first_weight(self.poses)))
            residuals = ControlResiduals(tuple(pose.weight * each for each in made.down), pose.weight * made.mid)
            bare = replace(bare, residuals=residuals if bare.residuals is None else bare.residuals + residuals)
        return super().denoise_branches(x, sigma, bare, branches)
