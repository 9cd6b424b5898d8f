"""Tokens carried from frame to frame, merged across frames, and kept in a bank."""

import torch
import torch.nn.functional as F
from benchmarks.reference_checks.published import Check, Published, StandIn, gap
from benchmarks.reference_checks.toys import SITE, attended, attention_layer, normal
from einops import rearrange
from torch import Tensor, nn

from recast.methods.tokenflow import PropagatedAttention
from recast.networks.feature_bank import FeatureBank
from recast.networks.hooks import SiteKind
from recast.networks.recorded_attention import RecordAttention
from recast.networks.token_merging import TokenMerging

PLACES, FEATURES = 9, 8


class _PropagatingBlock(nn.Module):
    """What TokenFlow's block is made from: nothing but self-attention, which here gives what it was made with."""

    use_ada_layer_norm = use_ada_layer_norm_zero = only_cross_attention = False
    attn2 = None

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.norm1 = self.norm3 = nn.Identity()
        self.attn1 = lambda *_args, **_named: answers
        self.ff = torch.zeros_like


def propagated(source: Published) -> float:
    """TokenFlow's propagation of two keyframes' answers to the frames of two chunks."""
    count, chunk, keys = 8, 4, (2, 6)
    tokens, edited = normal(count, PLACES, FEATURES), normal(3, len(keys), PLACES, FEATURES, seed=1)
    given = {
        "Type": type,
        "torch": StandIn(torch, sigmoid=lambda share: share),
        "batch_cosine_sim": lambda one, other: F.normalize(one, dim=-1) @ F.normalize(other, dim=-1).mT,
    }
    made = source.load("make_tokenflow_attention_block", **given).make_tokenflow_attention_block(_PropagatingBlock)
    block = made(rearrange(edited, "s k n c -> (s k) n c"))
    block.pivotal_pass = True
    block(tokens[list(keys)].repeat(3, 1, 1))
    block.pivotal_pass, theirs = False, []
    for block.batch_idx in range(count // chunk):
        hidden = tokens[block.batch_idx * chunk :][:chunk].repeat(3, 1, 1)
        theirs.append((block(hidden) - hidden)[-chunk:])
    compared = [0, 1, 2, 4, 5, 6]
    records = [_recorded(tuple(range(count)), tokens), _recorded(keys, edited[-1])]
    ours = attended(attention_layer(project=False), tokens, PropagatedAttention(*records, keys))
    return gap(ours[compared], torch.cat(theirs)[compared])


def _recorded(frames: tuple[int, ...], answers: Tensor) -> RecordAttention:
    record = RecordAttention(parts=("answer",))
    record.calls[SITE, 1.0, 0] = {frames: {"answer": answers}}
    record.site_kinds[SITE] = SiteKind.SELF
    return record


def merged_locally(source: Published) -> float:
    """VidToMe's merging of a chunk's frames, around a layer, whichever frame ours draws as the target."""
    layer, hidden = attention_layer(), normal(2, PLACES, FEATURES)
    tokens = rearrange(hidden, "f n c -> 1 (f n) c")
    theirs = []
    for frame in range(2):
        drawn = StandIn(torch, randint=lambda *_, frame=frame, **__: torch.tensor([frame]))
        matching = source.load("bipartite_soft_matching_randframe", "do_nothing", torch=drawn)
        merge, unmerge, _ = matching.bipartite_soft_matching_randframe(
            tokens, 2, 0.5, 0, torch.Generator(), merge_mode="mean"
        )
        theirs.append(rearrange(unmerge(layer(merge(tokens))), "1 (f n) c -> f n c", f=2))
    # Of two frames ours may also make two chunks, where nothing is merged: another seed then does not.
    hooks = (TokenMerging(chunk=2, ratio=0.5, global_ratio=None, seed=seed) for seed in range(4))
    ours = [attended(layer, hidden, hook) for hook in hooks]
    return min(gap(our, their) for our in ours for their in theirs)


def merged_globally(source: Published) -> float:
    """VidToMe's merging of a chunk into the tokens kept of the one before, around a layer."""
    layer, hidden = attention_layer(), normal(2, PLACES, FEATURES)
    matching = source.load("bipartite_soft_matching_2s", "do_nothing").bipartite_soft_matching_2s
    tokens = torch.cat([hidden[1:], hidden[:1]], dim=1)
    merge, unmerge, _ = matching(tokens, PLACES, 0.8, False, merge_mode="mean", unmerge_chunk=0)
    ours = attended(layer, hidden, TokenMerging(chunk=1, global_ratio=0.8))
    return gap(ours[1:], unmerge(layer(merge(tokens))))


def banked(source: Published) -> float:
    """StreamV2V's attention with its bank, over ten frames of a stream."""
    layer, hidden = (
        attention_layer(project=False),
        0.4 * normal(10, PLACES, FEATURES) + normal(PLACES, FEATURES, seed=1),
    )
    path = "src/streamv2v/models/utils.py"
    halves = StandIn(torch, rand=lambda *shape, **_: torch.arange(shape[1]).double()[None, :, None])
    features = Published(source.repository, path).load(
        "get_nn_feats", "random_bipartite_soft_matching", torch=halves, deque=list
    )
    given = vars(features) | {"USE_PEFT_BACKEND": True}
    processor = source.load("CachedSTAttnProcessor2_0", **given).CachedSTAttnProcessor2_0
    attend = processor("mid_block", True, 0.8, 0.9, 4)
    theirs = torch.cat([attend(layer, each) for each in hidden.split(1)])
    return gap(attended(layer, hidden, FeatureBank(threshold=0.9, fusion=0.8, interval=4)), theirs)


VIDTOME = "lixirui142/VidToMe", "vidtome/merge.py"
CHECKS = (
    Check(
        "tokenflow",
        "omerbt/TokenFlow",
        "tokenflow_utils.py",
        "TokenFlowBlock / PropagatedAttention",
        propagated,
        "the sigmoid around the weight; frames after their chunk's keyframe, which look back only there; which "
        "features are matched: the layer's input there, its answer in ours and in the paper",
    ),
    Check(
        "vidtome",
        *VIDTOME,
        "bipartite_soft_matching_randframe / TokenMerging in a chunk",
        merged_locally,
        "the default of merge_mode, which drops merged tokens; ours has their mean, as merge_mode 'mean'",
    ),
    Check("vidtome", *VIDTOME, "bipartite_soft_matching_2s / TokenMerging across chunks", merged_globally, "as above"),
    Check(
        "streamv2v",
        "Jeff-LiangF/streamv2v",
        "src/streamv2v/models/attention_processor.py",
        "CachedSTAttnProcessor2_0 / FeatureBank, ten frames",
        banked,
        "the random halves of merging: all of the bank is merged into the frame; the output projection, before the "
        "bank there and behind it in ours",
    ),
)
