"""Strengths of ways to edit from choices between two at a time (Bradley and Terry 1952)."""

import numpy as np
from jaxtyping import Bool, Float

PRIOR = 0.5
"""Wins that each of two ways that were compared has over the other beside those that were counted: one tie, so that
a way that never won, or always, has a strength too."""
MOST_STEPS, LARGEST_STEP, CLOSE = 100, 2.0, 1e-10


def strengths(wins: Float[np.ndarray, "*b k k"], compared: Bool[np.ndarray, "k k"]) -> Float[np.ndarray, "*b k"]:
    """The logarithms of strengths, with mean 0, that make the wins most likely: P(i beats j) = s_i / (s_i + s_j).

    wins: of row over column, ties as half a win for each. compared: who was, at all; they hang together.
    Newton's method on the concave log-likelihood, for many tables at once.
    """
    assert hangs_together(compared), "strengths of ways that never met by way of others cannot be compared"
    count = len(compared)
    held = wins + PRIOR * compared
    played = held + held.swapaxes(-1, -2)
    found = np.zeros(wins.shape[:-1])
    for _ in range(MOST_STEPS):
        likely = 1 / (1 + np.exp(found[..., None, :] - found[..., :, None]))
        slope = (held - played * likely).sum(-1)
        bend = played * likely * (1 - likely)
        curve = np.eye(count) * bend.sum(-1)[..., None] - bend + 1 / count  # the last part keeps the mean at 0
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        longest = np.abs(step).max(-1, keepdims=True)
        found = found + step * np.minimum(1, LARGEST_STEP / np.maximum(longest, CLOSE))
        if longest.max() < CLOSE:
            break
    return found - found.mean(-1, keepdims=True)


def hangs_together(compared: Bool[np.ndarray, "k k"]) -> bool:
    """Whether each can be reached from each by comparisons."""
    reached = np.eye(len(compared), dtype=bool) | compared
    for _ in range(len(compared)):
        reached = reached @ reached
    return bool(reached.all())
