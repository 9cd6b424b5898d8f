"""Attention along the source's motion: FLATTEN, arXiv:2310.05922."""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.errors import RequestError
from recast.methods.injection import injection
from recast.methods.keyframed import trajectories_of
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, beside_source, in_windows, under_hooks
from recast.networks.attention_recipes import ExtendedAttention, TrajectoryAttention
from recast.networks.hooks import Attend, AttentionCall, SiteKind
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class FLATTEN(InversionKnobs, GuidanceKnobs):
    """Inverts the clip, and walks back with attention to all frames, and then along the trajectories of the source.

    arXiv:2310.05922. Every place attends to the places of all frames; in the layers of the finest grid its answer then
    attends to the answers on its trajectory, which is where the source's optical flow takes it. Residual features,
    queries and keys of the source are put in first. Needs attention and feature hooks, and estimates flow from the
    clip. Network evaluations of a frame: 2 a step to invert it, and 3 a step to edit it. In windows attention and
    trajectories are of the window's frames. Draws nothing, so the seed changes nothing.

    Differs: flow is estimated by DIS (the paper: RAFT), and where two trajectories meet the older goes on (the paper
    draws one); the layers that take the source's features are those of `pnp`; the inversion attends as usual; the
    network's temporal layers stay on.
    """

    paper: ClassVar[str] = "FLATTEN, arXiv:2310.05922"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS, Need.FRAME_LATENTS})
    follows_flow: ClassVar[bool] = True

    injected_until: UnitInterval = 0.8
    """The share of the steps, from the first on, that take the source's residual features, queries and keys."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, or where frames share latents."""
        if backbone.temporal_stride > 1:
            raise RequestError("flatten follows places from frame to frame, and this model's frames share latents")
        finest = FinestGrid()
        inverted = self.inverted(inputs, backbone, under_hooks(backbone, self.denoiser(inputs, backbone, 1.0), finest))
        if not finest.grids:  # nothing was inverted, so there is no way back
            return inverted.walked(self.denoiser(inputs, backbone, inputs.cfg_scale))
        along = TrajectoryAttention(trajectories_of(inputs)(max(finest.grids)))
        above = inverted.level(self.injected_until)
        look = in_windows(inputs, backbone, guided(backbone.denoise_branches, 1.0))
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale)
        hooks = partial(injection, above, above, along, ExtendedAttention())
        return inverted.walked(beside_source(backbone, edit, look, inverted, hooks))


@dataclass(frozen=True, eq=False)
class FinestGrid:
    """Notes the grids of the places that attend to each other."""

    grids: set[tuple[int, int]] = field(default_factory=set)

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The answer as it is."""
        self.grids.add(call.grid)
        return attend(call)
