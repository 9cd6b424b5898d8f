"""Tokens merged across frames, over Plug-and-Play: VidToMe, arXiv:2312.10656."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.diffusion.guidance import guided
from recast.methods.injection import injection
from recast.methods.knobs import GuidanceKnobs, UnitInterval
from recast.methods.needs import Need
from recast.methods.walks import InversionKnobs, beside_source, in_windows
from recast.networks.token_merging import TokenMerging
from recast.types import Latents


@dataclass(frozen=True, kw_only=True)
class VidToMe(InversionKnobs, GuidanceKnobs):
    """Inverts the clip, and walks back with alike tokens of neighbouring frames merged before self-attention.

    arXiv:2312.10656, with Plug-and-Play as its editor. Merged tokens share one answer, which is why frames agree, and
    tokens kept from chunk to chunk make distant frames agree. Needs attention and feature hooks. Network evaluations of
    a frame: 2 a step to invert it, and 3 a step to edit it, with fewer tokens. What is merged in a window stays in it
    but for the kept tokens, which go on to the next.

    Differs: as TokenMerging says; the source's own walk is not merged; the network's temporal layers stay on; see also
    `pnp`.
    """

    paper: ClassVar[str] = "VidToMe, arXiv:2312.10656"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})

    chunk: Annotated[int, Field(ge=1, le=64)] = 4
    """Frames whose tokens are merged with each other."""
    merged: UnitInterval = 0.9
    """The share of a chunk's tokens that is merged into those of one of its frames."""
    merged_globally: UnitInterval = 0.8
    """The share of what is left that is merged into tokens of the chunks before."""
    features_until: UnitInterval = 0.8
    """The share of the steps, from the first on, that take the source's residual features."""
    attention_until: UnitInterval = 0.5
    """The share of the steps, from the first on, that take the source's queries and keys."""

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents. Raises RequestError without a source, or for a network without these layers."""
        inverted = self.inverted(inputs, backbone, self.denoiser(inputs, backbone, 1.0))
        look = in_windows(inputs, backbone, guided(backbone.denoise_branches, 1.0))
        features, attention = inverted.level(self.features_until), inverted.level(self.attention_until)
        merging = TokenMerging(chunk=self.chunk, ratio=self.merged, global_ratio=self.merged_globally, seed=inputs.seed)
        edit = self.denoiser(inputs, backbone, inputs.cfg_scale)
        hooks = partial(injection, features, attention, merging)
        return inverted.walked(beside_source(backbone, edit, look, inverted, hooks))
