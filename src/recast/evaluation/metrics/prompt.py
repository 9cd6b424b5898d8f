"""Prompt consistency: similarity of an edit's frames and its prompt in a CLIP pair."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recast.types import Embedding


def prompt_consistency(words: Embedding, frames: Float[Tensor, "t d"]) -> float:
    """The mean cosine of the words' embedding with each frame's. arXiv:2302.03011, section 4.3.

    words, frames: of the two encoders of one CLIP pair. Values of different pairs cannot be compared.
    """
    return float(F.cosine_similarity(words[None].to(frames), frames).mean())
