"""Deep blocks of a UNet that answer as they did before: what DeepCache (arXiv:2312.00858) is made of."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

SHALLOW = 1
"""Blocks on the way down, and as many on the way up, that are computed in every pass."""


def deep_blocks(unet: Any) -> list[nn.Module]:  # noqa: ANN401 -- UNet2DConditionModel, or one with layers over time
    """All but the shallow ones, layers over time among them, in the order of a pass; none where there are no others."""
    if len(unet.down_blocks) <= SHALLOW:
        return []
    return [*unet.down_blocks[SHALLOW:], unet.mid_block, *unet.up_blocks[:-SHALLOW]]


@contextmanager
def recorded(blocks: Sequence[nn.Module]) -> Iterator[list[Any]]:
    """Yields what blocks answer inside the block, in the order of their calls.

    Only the last one's features are kept; of the others, which nothing reads where the last one is not computed, the
    shapes are.
    """
    answers: list[Any] = []

    def recording(block: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def record(*given: object, **named: object) -> object:
            answer = forward(*given, **named)
            answers.append(answer if block is blocks[-1] else _shape_of(answer))
            return answer

        return record

    with _forwarded(blocks, recording):
        yield answers


@contextmanager
def replayed(blocks: Sequence[nn.Module], answers: Sequence[Any]) -> Iterator[None]:
    """Inside the block, blocks are not computed and answer as was recorded."""
    waiting = iter(answers)
    with _forwarded(blocks, lambda _block, _forward: lambda *_given, **_named: next(waiting)):
        yield


@contextmanager
def _forwarded(
    blocks: Sequence[nn.Module], change: Callable[[nn.Module, Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    before = [vars(block).get("forward") for block in blocks]
    try:
        for block in blocks:
            block.forward = change(block, block.forward)
        yield
    finally:
        for block, own in zip(blocks, before, strict=True):
            if own is not None:
                block.forward = own
            else:
                vars(block).pop("forward", None)


def _shape_of(answer: Any) -> Any:  # noqa: ANN401 -- features, or a tuple of them, at any depth
    """Zeros of the same shapes, which take no memory."""
    if isinstance(answer, tuple):
        return tuple(map(_shape_of, answer))
    return answer.new_zeros(1).expand(answer.shape) if isinstance(answer, Tensor) else answer
