"""Self-attention over several frames, as tunings have it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from recast.networks.attention_recipes import PassAttention, anchored, causal_in_pass
from recast.networks.fine_coarse import FineCoarseAttention
from recast.networks.hooks import Attend, AttentionCall, AttentionHook, PassContext, SiteKind, interested
from recast.networks.latent_shift import LatentShiftAttention

OVER_FRAMES: dict[str, Callable[[], AttentionHook]] = {
    "first": lambda: PassAttention(lambda frames: anchored(frames[0])),
    "first-previous": lambda: PassAttention(causal_in_pass),
    "latent-shift": LatentShiftAttention,
    "fine-coarse": FineCoarseAttention,
}
"""What self-attention looks at besides its own frame, by name. Frames are those of a pass, of a window the window's.

first: the first frame alone (ControlVideo's key frame, arXiv:2305.17098).
first-previous: the first and the previous frame, of the first itself twice (arXiv:2212.11565, equation 6).
latent-shift: its own frame, and one of places of those before (SimDA, arXiv:2308.09710).
fine-coarse: its own frame, and means of blocks of places of all others (EI2, arXiv:2305.17431).
"""


@dataclass(frozen=True, eq=False)
class OverFramesAttention:
    """A way to attend, where frames see each other: other branches, and frames alone, are left as they are.

    passes: the backbone's `pass_context`, which tells in which branches frames see each other.
    """

    passes: PassContext
    recipe: AttentionHook

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where the recipe is."""
        return interested(self.recipe, site, kind)

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The recipe's answer, or the layer's own."""
        now = self.passes.current
        assert now is not None, "backbones say which pass goes through the network"
        if not dict(zip(now.branches, now.temporal, strict=True))[call.branch or 0]:
            return attend(call)
        return self.recipe(call, attend)
