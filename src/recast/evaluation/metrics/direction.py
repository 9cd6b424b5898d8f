"""Directional similarity: whether frames changed the way that the words did."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recast.types import Embedding

Embeddings = Float[Tensor, "t d"]


def directional_similarity(
    words: Embedding, source_words: Embedding, frames: Embeddings, source_frames: Embeddings
) -> float:
    """The mean cosine of the change of each frame with the change of the words, all embeddings at length 1.

    StyleGAN-NADA (arXiv:2108.00946), as InstructPix2Pix (arXiv:2211.09800) measures it. A frame that did not change
    counts as 0, and so do words that did not.
    """
    asked = F.normalize(words, dim=0) - F.normalize(source_words, dim=0)
    made = F.normalize(frames, dim=1) - F.normalize(source_frames, dim=1)
    return float(F.cosine_similarity(asked[None].to(made), made).mean())
