"""What backbones of every family do alike with the branches and frames that they are asked for."""

from collections.abc import Sequence

from recast.types import Branch, Condition


def batches(branches: Sequence[Branch], *, together: bool) -> list[dict[int, Branch]]:
    """The branches of each pass by their number: all at once where asked for and their tokens have one length."""
    numbered = dict(enumerate(branches))
    alike = len({branch.tokens.shape for branch in branches}) == 1
    return [numbered] if together and alike else [{number: branch} for number, branch in numbered.items()]


def frame_numbers(condition: Condition, count: int) -> tuple[int, ...]:
    """The frames' absolute numbers where the condition keeps them, and else from 0 on."""
    frames = condition.frames
    return tuple(range(count)) if frames is None else tuple(frames.tolist())
