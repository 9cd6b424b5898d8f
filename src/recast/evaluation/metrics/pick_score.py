"""PickScore: how well frames fit words, by a CLIP pair that was trained on what people preferred."""

from recast.conditions.clip_pair import ClipPair
from recast.evaluation.metrics.prompt import prompt_consistency
from recast.types import Frames


def pick_score(pair: ClipPair, words: str, frames: Frames) -> float:
    """The mean over frames of the cosine with the words, times the pair's own scale. arXiv:2305.01569, section 4."""
    return pair.scale * prompt_consistency(pair.embedded(words), pair.embeddings(frames))
