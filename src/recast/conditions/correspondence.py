"""Attention and features held to a source's correspondences, within frames and along flow: FRESCO, arXiv:2403.12962."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recast.diffusion.x0_hooks import match_statistics
from recast.networks.attention_recipes import Trajectories, attended_along, frames_of
from recast.networks.hooks import Attend, AttentionCall, FeatureCall, SiteKind, heads_split
from recast.networks.recorded_attention import RecordAttention
from recast.networks.recorded_features import RecordFeatures, ReplayFeatures
from recast.types import Maps

TrajectoriesOf = Callable[[tuple[int, int]], Trajectories]
"""The source's trajectories at a grid of places."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CorrespondenceAttention:
    """Self-attention by three correspondences of the source, one after the other: FRESCO-guided attention.

    Spatial-guided: a place's query is the mean of its frame's, by how alike the source's places are. Efficient
    cross-frame: all frames attend to one set of places, each point of the source once, in the first frame of the pass
    that shows it. Temporal-guided: a place then attends to the answers on its trajectory, by the layer's own queries
    and keys.

    source: holds "q" and "k" of the source, as branch 0. sharpness: 1 / lambda_s and 1 / lambda_t of the paper, by
    which the layer's own scale is multiplied; the larger, the fewer places are mixed.

    Differs: a place of a later frame joins the set where no earlier frame of the pass shows it, where the paper asks
    the one before.
    """

    source: RecordAttention
    trajectories: TrajectoriesOf
    sharpness: float = 0.2

    def interested(self, site: str, kind: SiteKind) -> bool:
        """In self-attention that was recorded."""
        return kind is SiteKind.SELF and self.source.interested(site, kind)

    def __call__(self, call: AttentionCall, attend: Attend) -> Float[Tensor, "f p e"]:
        """The answer. Raises BackboneError for frames that were not recorded or have no trajectories."""
        tokens, reached = (each.to(call.q.device) for each in self.trajectories(call.grid).at(frames_of(call)))
        earlier = torch.ones(len(tokens), len(tokens), dtype=torch.bool, device=tokens.device).tril(-1)
        fresh = ~(reached & earlier[:, None]).any(-1).flatten()
        shown = (rearrange(each, "f p e -> (f p) e")[fresh] for each in (call.k, call.v))
        k, v = (repeat(each, "m e -> f m e", f=len(call.q)) for each in shown)
        answer = attend(replace(call, q=self._spatial(call), k=k, v=v))
        parts = (call.q, call.k, answer)
        own, keys, values = (rearrange(each, "f p (h d) -> (f p) h d", h=call.heads) for each in parts)
        size, scale = answer.shape[1], self.sharpness * call.scale
        rows = zip(own.split(size), tokens, reached, strict=True)
        return torch.stack([attended_along(scale, q, keys[on], values[on], there) for q, on, there in rows])

    def _spatial(self, call: AttentionCall) -> Float[Tensor, "f p e"]:
        place = {"site": call.site, "sigma": call.sigma, "branch": 0, "frames": call.frames}
        q, k = (heads_split(self.source.part(name, **place), call.heads) for name in ("q", "k"))
        mean = F.scaled_dot_product_attention(q, k, heads_split(call.q, call.heads), scale=self.sharpness * call.scale)
        return rearrange(mean, "f h p d -> f p (h d)")


@dataclass(frozen=True, eq=False, kw_only=True)
class ConsistentFeatures:
    """Features moved down the gradient of what tells them from the source's correspondences: feature optimization.

    Temporal loss: the mean absolute difference of features on one trajectory, in frames that follow each other.
    Spatial loss: the mean squared difference of the products of all pairs of a frame's normalized features from the
    source's. Adam takes `iterations` steps of `rate`, in deviations of the features; channels then have the mean and
    the deviation that they had (AdaIN).

    source: the source's features, as branch 0. spatial_weight: of the spatial loss.
    """

    source: RecordFeatures
    trajectories: TrajectoriesOf
    iterations: int = 20
    rate: float = 0.2
    spatial_weight: float = 100.0

    def interested(self, site: str, kind: SiteKind) -> bool:
        """Where features were recorded."""
        return self.source.interested(site, kind)

    def feature(self, call: FeatureCall) -> Maps:
        """The moved features. Raises BackboneError for frames that were not recorded or have no trajectories."""
        if not self.iterations:
            return call.features
        theirs = correlations(ReplayFeatures(record=self.source, branch=0).feature(call))
        grid, frames = (call.features.shape[-2], call.features.shape[-1]), call.frames or ()
        tokens, reached = (each.to(call.features.device) for each in self.trajectories(grid).at(frames))
        # Below the diagonal of frames: where each place was in the frame before, and whether it was there.
        before, seen = (rearrange(each.diagonal(-1, 0, 2), "p s -> (s p)") for each in (tokens, reached))
        return match_statistics(self._moved(call.features.detach(), theirs, before, seen), call.features)

    @torch.enable_grad()
    def _moved(
        self,
        features: Maps,
        theirs: Float[Tensor, "t n n"],
        before: Int[Tensor, " later"],
        seen: Bool[Tensor, " later"],
    ) -> Maps:
        moved = features.clone().requires_grad_()
        adam = torch.optim.Adam([moved], lr=self.rate * float(features.std()))
        for _ in range(self.iterations):
            loss = self._spatial(moved, theirs)
            if len(before):
                places = rearrange(moved, "t c h w -> (t h w) c")
                apart = (places[-len(before) :] - places[before]).abs()
                loss = loss + (apart * seen[:, None]).mean()
            (moved.grad,) = torch.autograd.grad(loss, [moved])
            adam.step()
        return moved.detach()

    def _spatial(self, moved: Maps, theirs: Float[Tensor, "t n n"]) -> Float[Tensor, ""]:
        """What has the spatial loss's gradient; its value is of no use.

        The difference of the products is symmetric, so one product of it with the features is the gradient, where
        autograd takes two and passes over all pairs of places several times.
        """
        unit = unit_vectors(moved)
        with torch.no_grad():
            apart = (unit @ unit.mT).sub_(theirs).mul_(self.spatial_weight / theirs.numel())
            gradient = 4 * (apart @ unit)
        return (unit * gradient).sum()


def correlations(features: Maps) -> Float[Tensor, "t n n"]:
    """The cosines of all pairs of places of each frame."""
    unit = unit_vectors(features)
    return unit @ unit.mT


def unit_vectors(features: Maps) -> Float[Tensor, "t n c"]:
    """The features of each place, of length 1."""
    return F.normalize(rearrange(features, "t c h w -> t (h w) c"), dim=-1)
