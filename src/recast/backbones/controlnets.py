"""ControlNets of a family on Stable Diffusion's UNet, by the kind of structure that each was trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from recast.control import Control, ControlResiduals
from recast.errors import BackboneError, WeightsError
from recast.model.folder import ModelFolder
from recast.model.index import read_index
from recast.networks.placement import first_weight, placed
from recast.types import Kind, Latents, Tokens


@dataclass(frozen=True, eq=False)
class Content:
    """What a branch gives a ControlNet besides latents: tokens, for all frames or for each, and the timestep."""

    tokens: Tokens
    timestep: float

    @property
    def key(self) -> tuple[int, float]:
        """Branches of one content share it; guidance gives them the same tokens, not only equal ones."""
        return id(self.tokens), self.timestep


@dataclass(frozen=True, eq=False)
class SharedControls:
    """What ControlNets add to one clip at one noise level, made once for each content. arXiv:2302.05543.

    A ControlNet sees single frames, so branches of one content that differ only in their layers over time share it.
    scaled: the latents as networks see them. text_tokens: where the tokens of words end, which are all that it reads.
    """

    nets: Mapping[Kind, ControlNetModel]
    controls: Sequence[Control]
    sigma: float
    scaled: Latents
    text_tokens: int | None = None
    made: dict[tuple[int, float], list[ControlResiduals]] = field(default_factory=dict)

    def of(self, contents: Sequence[Content]) -> list[ControlResiduals]:
        """Of each control that acts at this level, times its weight, for (branches frames) images.

        Raises BackboneError for a kind of structure that has no ControlNet.
        """
        new = {content.key: content for content in contents if content.key not in self.made}
        if new:
            added = [self._asked(control, list(new.values())) for control in self._acting()]
            self.made.update({key: [part[index] for part in added] for index, key in enumerate(new)})
        parts = [self.made[content.key] for content in contents]
        return parts[0] if len(parts) == 1 else [_joined(part) for part in zip(*parts, strict=True)]

    def _acting(self) -> Iterator[Control]:
        for control in self.controls:
            if control.kind not in self.nets:
                known = ", ".join(self.nets) or "none"
                raise BackboneError(f"this model has no ControlNet of {control.kind}; it has {known}")
            if control.acts_at(self.sigma):
                yield control

    def _asked(self, control: Control, contents: Sequence[Content]) -> list[ControlResiduals]:
        net, frames = self.nets[Kind(control.kind)], len(self.scaled)
        like = first_weight(net)
        images, pictures = (
            repeat(each, "t c h w -> (b t) c h w", b=len(contents)).to(like) for each in (self.scaled, control.pictures)
        )
        tokens = [content.tokens[..., : self.text_tokens, :].expand(frames, -1, -1) for content in contents]
        inputs = images, timesteps(contents, frames, like), torch.cat(tokens).to(like), pictures
        down, mid = net(*inputs, conditioning_scale=control.weight, return_dict=False)
        rows = [slice(index * frames, (index + 1) * frames) for index in range(len(contents))]
        return [ControlResiduals(tuple(each[part] for each in down), mid[part]) for part in rows]


def timesteps(contents: Sequence[Content], frames: int, like: Tensor) -> Float[Tensor, " bt"]:
    """The timestep of each image of a batch of (branches frames)."""
    return torch.tensor([content.timestep for content in contents], device=like.device).repeat_interleave(frames)


def _joined(parts: Sequence[ControlResiduals]) -> ControlResiduals:
    down = (torch.cat(level) for level in zip(*(part.down for part in parts), strict=True))
    return ControlResiduals(tuple(down), torch.cat([part.mid for part in parts]))


def opened_controlnets(model: ModelFolder, device: str, dtype: torch.dtype) -> dict[Kind, ControlNetModel]:
    """The ControlNets in controlnet/, controlnet_1/ and so on (diffusers' MultiControlNetModel), by kind of structure.

    Kinds are those of recast.json, in its order; a single ControlNet serves them all. Raises WeightsError for another
    number of ControlNets than of kinds, and for none where model_index.json names a pipeline that has one.
    """
    names = ["controlnet"] if model.has("controlnet") else []
    if not names and "ControlNet" in str(read_index(model.path).get("_class_name")):
        model.component("controlnet")
    while model.has(f"controlnet_{len(names)}"):
        names.append(f"controlnet_{len(names)}")
    kinds = [Kind(name) for name in model.metadata.structures]
    if len(names) > 1 and len(names) != len(kinds):
        wrong = f"there are {len(names)} ControlNets, and recast.json names {len(kinds)} structures"
        raise WeightsError(f"{wrong}; name one for each, in their order; {model.path}")
    nets = [placed(model.network(name, ControlNetModel), device, dtype) for name in names]
    return dict(zip(kinds, nets * len(kinds) if len(nets) == 1 else nets, strict=False))
