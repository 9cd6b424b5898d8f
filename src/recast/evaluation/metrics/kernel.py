"""Kernel distance of two sets of features: KID, KVD."""

from jaxtyping import Float
from torch import Tensor

Features = Float[Tensor, "_ d"]


def kernel_distance(features: Features, others: Features) -> float:
    """The unbiased squared MMD with the kernel (x.y / d + 1)^3; about 0 for sets of one distribution, or below.

    KID (arXiv:1801.01401) where the features are Inception's of frames, KVD (arXiv:1812.01717) where they are I3D's of
    clips. Differs: over all vectors at once, where KID is often the mean over random subsets, so that it is the same
    whenever it is measured. Each set has two or more.
    """
    one, other = features.double(), others.double()
    within = sum(_mean_of_pairs(_kernel(each, each)) for each in (one, other))
    return float(within - 2 * _kernel(one, other).mean())


def _kernel(one: Features, other: Features) -> Float[Tensor, "_m _n"]:
    return (one @ other.T / one.shape[1] + 1) ** 3


def _mean_of_pairs(products: Float[Tensor, "n n"]) -> Tensor:
    """Of every two different vectors."""
    count = len(products)
    return (products.sum() - products.trace()) / (count * (count - 1))
