"""Frames as a stream that looks back at a bank of features: StreamV2V, arXiv:2405.15757."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from recast.backbones.backbone import Backbone
from recast.denoising import Denoiser
from recast.methods.gen1 import Gen1
from recast.methods.knobs import UnitInterval
from recast.methods.needs import Need
from recast.networks.feature_bank import FeatureBank
from recast.types import Condition, Latents


@dataclass(frozen=True, kw_only=True)
class StreamV2V(Gen1):
    """Noises the source and walks back; in self-attention frames look back at a bank of the frames before them.

    arXiv:2405.15757. Each frame's places attend to the frame and to the keys and values in the bank, and answers that
    are nearly those of a place in the bank are fused with them. The bank is as large as one frame, whatever the length
    of the clip: a new frame is merged into it. The structure is kept where the model reads one. Network evaluations of
    a frame: 2 a step, as SDEdit; the bank doubles the keys of self-attention. Needs hooks on self-attention. The first
    frame is edited as SDEdit does it; with fusion 0 and the bank empty all are.

    Differs: the walk has many steps, where the paper's has 4 of a consistency model; each level's bank is filled anew,
    in the order of frames; tokens are taken before a layer's output projection, and the bank's are merged into the new
    frame's, where the paper draws halves of both at random; temporal layers of a network that has them stay on.
    """

    paper: ClassVar[str] = "StreamV2V, arXiv:2405.15757"
    over_time: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HOOKS})
    needs_source: ClassVar[bool] = False
    ensembles: ClassVar[bool] = False

    strength: UnitInterval = 0.8
    """How much is made anew: more follows the content, less keeps the source; 0 gives the source back."""
    likeness: UnitInterval = 0.9
    """Cosine above which an answer is fused with the one in the bank that is most like it; 1 fuses none."""
    fusion: UnitInterval = 0.8
    """The share of the bank's answer in what is fused; 0 fuses nothing."""
    bank_interval: Annotated[int, Field(ge=1, le=256)] = 4
    """Of how many frames one enters the bank."""

    def changed(self, denoise: Denoiser, backbone: Backbone, /) -> Denoiser:
        """With a bank that is empty at each evaluation of the clip."""

        def banked_denoise(x: Latents, sigma: float, condition: Condition) -> Latents:
            bank = FeatureBank(threshold=self.likeness, fusion=self.fusion, interval=self.bank_interval)
            with backbone.hooked(bank):
                return denoise(x, sigma, condition)

        return banked_denoise
