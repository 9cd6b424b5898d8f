"""Frechet distance of two sets of features, each taken for a Gaussian: FID, FVD."""

import torch
from jaxtyping import Float
from torch import Tensor

Features = Float[Tensor, "_ d"]


def frechet_distance(features: Features, others: Features) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), of means and covariances over n - 1.

    FID (arXiv:1706.08500) where the features are Inception's of frames, FVD (arXiv:1812.01717) where they are I3D's of
    clips. The trace of the root is the sum of the singular values of A B^T, where S1 = A^T A and S2 = B^T B, which
    needs no root of a product, and is exact for fewer vectors than they have numbers too. Each set has two or more.
    """
    (mean, root), (other_mean, other_root) = (_moments(each.double()) for each in (features, others))
    traces = root.square().sum() + other_root.square().sum()
    shared = torch.linalg.svdvals(root @ other_root.T).sum()
    return float((mean - other_mean).square().sum() + traces - 2 * shared)


def _moments(features: Features) -> tuple[Float[Tensor, " d"], Float[Tensor, "_ d"]]:
    """The mean, and a matrix whose product with itself is the covariance, of at most d rows."""
    mean = features.mean(dim=0)
    centred = (features - mean) / (len(features) - 1) ** 0.5
    return mean, torch.linalg.qr(centred).R if len(features) > features.shape[1] else centred
