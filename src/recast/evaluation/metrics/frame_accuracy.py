"""Frame accuracy: how many frames of an edit fit the words that it was asked for better than those of the source."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recast.types import Embedding


def frame_accuracy(words: Embedding, source_words: Embedding, frames: Float[Tensor, "t d"]) -> float:
    """The share of frames at least as near to the target's words as to the source's. FateZero (arXiv:2303.09535).

    All embeddings are of the two encoders of one CLIP pair.
    """
    near, before = (F.cosine_similarity(each[None].to(frames), frames) for each in (words, source_words))
    return float((near >= before).float().mean())
