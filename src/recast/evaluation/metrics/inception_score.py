"""Inception score: whether each clip is of one class to a classifier, and all together of many."""

from jaxtyping import Float
from torch import Tensor


def inception_score(classes: Float[Tensor, "n c"]) -> float:
    """Exp of the mean of KL(p || mean p), of the probabilities of n pictures or clips; 1 to c. arXiv:1606.03498.

    The video IS where they are a classifier's of clips (arXiv:1611.06624 with C3D, here the network that is named).
    """
    held = classes.double().clamp_min(1e-16)
    apart = held.log() - held.mean(dim=0, keepdim=True).log()
    return float((held * apart).sum(dim=1).mean().exp())
