"""FRESCO's guided attention and its optimization of features."""

import gc
import re

import torch
import torch.nn.functional as F
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import attended, attention_layer, normal, rng
from torch import Tensor

from recast.conditions.correspondence import ConsistentFeatures, CorrespondenceAttention
from recast.diffusion.x0_hooks import match_statistics
from recast.networks.attention_recipes import Trajectories
from recast.networks.hooks import FeatureCall, SiteKind
from recast.networks.recorded_attention import RecordAttention
from recast.networks.recorded_features import RecordFeatures

FRAMES, PLACES, GRID = 3, 9, (3, 3)


def _links() -> tuple[Tensor, Tensor]:
    """Where each place of the first frame is in every frame, and whether it is seen on from there: [f p], [f - 1 p]."""
    moved = [torch.arange(PLACES), *(torch.randperm(PLACES, generator=rng(seed)) for seed in range(FRAMES - 1))]
    return torch.stack(moved), torch.rand(FRAMES - 1, PLACES, generator=rng(5)) > 0.4


def _pieces(linked: Tensor) -> Tensor:
    """A number for each path and frame that is the same on one unbroken stretch: [f p]."""
    return torch.cat([torch.zeros(1, PLACES), (~linked).cumsum(0)])


def _trajectories() -> Trajectories:
    """Ours: a path ends where its link is broken, and another begins behind it."""
    moved, linked = _links()
    piece = _pieces(linked)
    places, reached = (torch.zeros(FRAMES * PLACES, FRAMES, dtype=kind) for kind in (torch.long, torch.bool))
    for frame, at in enumerate(moved):
        tokens = frame * PLACES + at
        places[tokens], reached[tokens] = moved.T, (piece == piece[frame]).T
    return Trajectories(tuple(range(FRAMES)), GRID, places, reached)


def _shown() -> Tensor:
    """Theirs: places of a frame that the frame before does not show; all of the first one."""
    moved, linked = _links()
    shown = torch.ones(FRAMES, PLACES, dtype=torch.bool)
    for frame, link in enumerate(linked, start=1):
        shown[frame, moved[frame]] = ~link
    return shown


def guided_attention(source: Published) -> float:
    """A layer whose attention is guided within frames, across them, and along trajectories."""
    layer, earlier, hidden = attention_layer(), *(normal(FRAMES, PLACES, 8, seed=seed) for seed in (1, 2))
    published = source.load("AttentionControl", "FRESCOAttnProcessor2_0", gc=gc)
    control = published.AttentionControl()
    processor = published.FRESCOAttnProcessor2_0(1, control)
    control.enable_store()
    processor(layer, earlier)
    moved, linked = _links()
    piece = _pieces(linked).T
    paths = {
        "fwd_mappings": [moved[:, None]],
        "bwd_mappings": [moved.argsort(dim=1)[:, None]],
        "interattn_masks": [(piece[:, None] == piece[:, :, None])[:, None]],
    }
    control.enable_controller(paths, [_shown()])
    record = RecordAttention(parts=("q", "k"), kinds=frozenset({SiteKind.SELF}))
    attended(layer, earlier, record)
    hook = CorrespondenceAttention(source=record, trajectories=lambda _grid: _trajectories())
    return gap(attended(layer, hidden, hook), processor(layer, hidden))


def spatial_features(source: Published) -> float:
    """Features moved until they are alike where the source's are."""
    return _optimized(source, spatial=True)


def temporal_features(source: Published) -> float:
    """Features moved until they are alike along trajectories, which stand still."""
    return _optimized(source, spatial=False)


def _optimized(source: Published, *, spatial: bool) -> float:
    """Two frames after ten steps of Adam on one of the two losses."""
    theirs, features = (normal(2, 5, *GRID, seed=seed) for seed in (3, 4))
    features = features / features.std()  # of which our rate is a share
    vectors = F.normalize(theirs.flatten(2).mT, dim=-1)
    changed = {"F.l1_loss": "F.mse_loss", "torch.float32": "torch.float64"}
    given = {"flow_warp": lambda x, _flow: x, "adaptive_instance_normalization": match_statistics}
    optimize = source.load("optimize_feature", changed=changed, **given).optimize_feature
    flows, occlusions = ([torch.zeros(2, *shape).double()] * 2 for shape in ((2, *GRID), GRID))
    weight, steps = 1e2 * spatial, 10
    with torch.enable_grad():
        moved = optimize(features, flows, occlusions, [vectors @ vectors.mT], weight, steps, 1, not spatial)
    record = RecordFeatures(kind=SiteKind.BLOCK, sites=re.compile(".*"))
    record.feature(FeatureCall("site", SiteKind.BLOCK, theirs, 1.0, 0, (0, 1)))
    places, own = torch.arange(PLACES).repeat(2), torch.arange(2).repeat_interleave(PLACES)
    reached = own[:, None] == torch.arange(2) if spatial else torch.ones(2 * PLACES, 2, dtype=torch.bool)
    still = Trajectories((0, 1), GRID, places[:, None].repeat(1, 2), reached)
    hook = ConsistentFeatures(source=record, trajectories=lambda _grid: still, iterations=steps, spatial_weight=weight)
    return gap(hook.feature(FeatureCall("site", SiteKind.BLOCK, features, 1.0, 1, (0, 1))), moved)


FRESCO = "fresco", "williamyang1991/FRESCO", "src/diffusion_hacked.py"
CHECKS = (
    Check(
        *FRESCO,
        "FRESCOAttnProcessor2_0 / CorrespondenceAttention",
        guided_attention,
        "places that come back after frames in which they are hidden",
    ),
    Check(
        *FRESCO,
        "optimize_feature, spatial loss / ConsistentFeatures",
        spatial_features,
        "the loss, absolute differences there, squared ones in ours and in the paper; the deviation of AdaIN",
    ),
    Check(
        *FRESCO,
        "optimize_feature, temporal loss / ConsistentFeatures",
        temporal_features,
        "the loss's weight beside the spatial one: both directions, twice, and the last frame beside the first there",
    ),
)
