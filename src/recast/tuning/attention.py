"""Self-attention over the first and the previous frame, as the one-shot family has it."""

from dataclasses import dataclass

from torch import Tensor

from recast.networks.attention_recipes import PassAttention, causal_in_pass
from recast.networks.hooks import Attend, AttentionCall, PassContext, SiteKind


@dataclass(frozen=True, eq=False)
class FirstPreviousAttention:
    """Each frame's places attend to those of the first and of the previous frame. arXiv:2212.11565, equation 6.

    The first frame sees itself twice, and of a window it is the window's own. Branches in which frames must not see
    each other, and frames alone, are left as they are.
    passes: the backbone's `pass_context`, which tells in which branches frames see each other.
    """

    passes: PassContext

    def interested(self, _site: str, kind: SiteKind) -> bool:
        """In self-attention."""
        return kind is SiteKind.SELF

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        """The layer's answer with keys and values of two frames."""
        now = self.passes.current
        assert now is not None, "backbones say which pass goes through the network"
        if not dict(zip(now.branches, now.temporal, strict=True))[call.branch or 0]:
            return attend(call)
        return PassAttention(causal_in_pass)(call, attend)


ATTENTION = ("own", "first-previous")
"""What self-attention looks at: its own frame, or the first and the previous one."""
