"""What Plug-and-Play takes from the source, for it and for methods that stand on it. arXiv:2211.12572."""

import re

from recast.methods.walks import SourceHooks
from recast.networks.hooks import Hook, SiteKind
from recast.networks.recorded_attention import RecordAttention, ReplayAttention
from recast.networks.recorded_features import LimitedHook, RecordFeatures, ReplayFeatures

CONVOLUTION = re.compile(r"up_blocks\.1\.resnets\.1\.(spatial_res_block\.)?conv2")
"""Layer 4 of the paper, in Stable Diffusion's decoder, and in that of Stable Video Diffusion."""
ATTENTION = re.compile(r"up_blocks\.(?![01]\.attentions\.0\.).*attn1")
"""Layers 4 to 11: self-attention of the decoder but the first."""


def injection(features_above: float, attention_above: float, *inner: Hook) -> SourceHooks:
    """Residual features, and queries and keys of self-attention, of the source's branch 0 for all branches of the edit.

    features_above, attention_above: the noise levels above which each is put in. inner: hooks on the edit that see the
    injected queries and keys.
    """
    features = RecordFeatures(kind=SiteKind.RESIDUAL, sites=CONVOLUTION)
    attention = RecordAttention(parts=("q", "k"), kinds=frozenset({SiteKind.SELF}))
    put_in = ReplayAttention(record=attention, parts=("q", "k"), branch=0)
    edit = (
        LimitedHook(hook=ReplayFeatures(record=features, branch=0), above=features_above),
        LimitedHook(hook=put_in, sites=ATTENTION, above=attention_above),
        *inner,
    )
    record = (features, LimitedHook(hook=attention, sites=ATTENTION))
    return SourceHooks(record, edit, (features.kept, attention.calls))
