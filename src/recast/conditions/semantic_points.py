"""Points of a clip that a network is told of: where they go, what they look like, and what is added for them.

VideoSwap, arXiv:2312.02087.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import visible
from recast.networks.hooks import FeatureCall, SiteKind

TwoMatrices = tuple[Float[Tensor, "c hidden"], Float[Tensor, "hidden d"]]
"""The two matrices of a perceptron; the second begins at zero, so that points change nothing before they are fitted."""


@dataclass(frozen=True, eq=False)
class PointPaths:
    """Where points are in each frame. places: pixels to the right and down. seen: whether they are visible there.

    frames: their numbers. size: rows and columns of a frame.
    """

    places: Float[Tensor, "n t 2"]
    seen: Bool[Tensor, "n t"]
    frames: tuple[int, ...]
    size: tuple[int, int]

    @classmethod
    def followed(cls, points: Sequence[tuple[float, float]], flow: ClipFlow, frames: Sequence[int]) -> "PointPaths":
        """Points of the first frame, as shares of its width and height, along flow; once hidden they stay so."""
        rows, columns = flow.forward.shape[-2:]
        place = torch.tensor(points).reshape(-1, 2) * torch.tensor([columns, rows]) - 0.5
        places, seen = [place], [torch.ones(len(place), dtype=torch.bool)]
        sights = visible(flow.forward, flow.backward)
        for step, sight in zip(flow.forward, sights, strict=True):
            seen.append(seen[-1] & (sampled(sight, places[-1])[:, 0] > 0.5))
            places.append(places[-1] + sampled(step, places[-1]))
        return cls(torch.stack(places, dim=1), torch.stack(seen, dim=1), tuple(frames), (rows, columns))

    def shares(self, frames: Sequence[int], grid: tuple[int, int]) -> Float[Tensor, "t n y x"]:
        """How much of each point lies at each place of a grid: bilinear, in sum 1 inside of it; 0 where hidden."""
        picks = [self.frames.index(frame) for frame in frames]
        scale = torch.tensor([grid[1] / self.size[1], grid[0] / self.size[0]])
        at = (self.places[:, picks].permute(1, 0, 2) + 0.5) * scale - 0.5
        columns = (1 - (at[..., :1] - torch.arange(grid[1])).abs()).clamp(min=0)
        rows = (1 - (at[..., 1:] - torch.arange(grid[0])).abs()).clamp(min=0)
        return torch.einsum("tny,tnx->tnyx", rows, columns) * self.seen[:, picks].T[..., None, None]

    def embedded(self, features: Float[Tensor, "t c y x"]) -> Float[Tensor, "n c"]:
        """The features at each point, the mean of the frames in which it is seen, normalized over channels."""
        shares = self.shares(self.frames, (features.shape[-2], features.shape[-1])).to(features)
        total = torch.einsum("tnyx,tcyx->nc", shares, features)
        return F.layer_norm(total / shares.sum(dim=(0, 2, 3)).clamp(min=1e-6)[:, None], total.shape[1:])


def sampled(field: Float[Tensor, "c h w"], places: Float[Tensor, "n 2"]) -> Float[Tensor, "n c"]:
    """The field's values at places in pixels, bilinear; beyond its edge those of the edge."""
    scale = torch.tensor([field.shape[2], field.shape[1]])
    grid = (2 * places + 1) / scale - 1
    return F.grid_sample(field[None], grid[None, None], "bilinear", "border", align_corners=False)[0, :, 0].T


@dataclass(frozen=True, eq=False)
class SemanticPoints:
    """Adds to the features after each block on the way down what a perceptron makes of points, at their places.

    embeddings: what each point looks like. weight: of what is added. kept: which points count now, all if None.
    layers: by site, made when a site is first met, from the seed and the number of sites met before.
    """

    embeddings: Float[Tensor, "n c"]
    paths: PointPaths
    seed: int = 0
    weight: float = 1.0
    kept: Bool[Tensor, " n"] | None = None
    layers: dict[str, TwoMatrices] = field(default_factory=dict)

    def interested(self, site: str, kind: SiteKind) -> bool:
        """In blocks on the way down."""
        return kind is SiteKind.BLOCK and site.startswith("down_blocks.")

    def feature(self, call: FeatureCall) -> Tensor:
        """The features, with the points' own added."""
        features = call.features
        first, second = self._layers(call.site, features)
        added = self.weight * (F.silu(self.embeddings.to(first) @ first) @ second)
        if self.kept is not None:
            added = added * self.kept.to(added)[:, None]
        frames = self.paths.frames if call.frames is None else call.frames
        shares = self.paths.shares(frames, (features.shape[-2], features.shape[-1])).to(added)
        return features + torch.einsum("tnyx,nd->tdyx", shares, added).to(features)

    def _layers(self, site: str, features: Float[Tensor, "t d y x"]) -> TwoMatrices:
        if site not in self.layers:
            (channels, width), place = self.embeddings.shape[1:] + features.shape[1:2], features.device
            generator = torch.Generator().manual_seed(self.seed + len(self.layers))
            first = torch.randn(channels, width, generator=generator) / channels**0.5
            both = first.to(place).requires_grad_(), torch.zeros(width, width, device=place, requires_grad=True)
            self.layers[site] = both
        return self.layers[site]
