"""Which tokens of a prompt are which word, and which words of one prompt stand for which of another: Prompt-to-Prompt.

arXiv:2208.01626, section 3.2: words are replaced one for one, or a prompt is refined by more words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recast.conditions.text import tokenized
from recast.errors import RequestError
from recast.networks.map_control import Alignment
from recast.prompt import PromptTokens

WORD_END = "</w>"
"""What CLIP's vocabulary writes behind the last piece of a word."""


def prompt_tokens(tokenizer: Any, text: str, places: int) -> PromptTokens:  # noqa: ANN401 -- transformers' own type
    """The tokens of CLIP's tokenizer by word. Raises RequestError for more of them than there are places."""
    read = tokenized(tokenizer, text, places)
    count = int(read["attention_mask"].sum())
    pieces = tuple(tokenizer.convert_ids_to_tokens(read["input_ids"][0][:count].tolist()))
    words, current = [], []
    for place, piece in enumerate(pieces[1:-1], start=1):
        current.append(place)
        if piece.endswith(WORD_END):
            words.append(("".join(pieces[at] for at in current).removesuffix(WORD_END), tuple(current)))
            current = []
    return PromptTokens(pieces, tuple(words), places)


def replaced(source: PromptTokens, target: PromptTokens) -> Alignment:
    """Word by word, for prompts of as many words: each word's maps go to the word in its place.

    A word of n tokens spreads each of its maps evenly over the tokens of the other, unless they are as many. Raises
    RequestError for prompts of different lengths.
    """
    if len(source.words) != len(target.words):
        counts = f"{len(source.words)} words of the source and {len(target.words)} of the edit"
        raise RequestError(f"{counts} cannot replace each other one by one; refine instead, or write as many words")
    mapping = _ends(source, target)
    for (_, theirs), (_, ours) in zip(source.words, target.words, strict=True):
        if len(theirs) == len(ours):
            mapping[list(theirs), list(ours)] = 1
        else:
            mapping[[[place] for place in theirs], list(ours)] = 1 / len(ours)
    return Alignment(mapping, torch.zeros(target.places), torch.ones(target.places))


def refined(source: PromptTokens, target: PromptTokens) -> Alignment:
    """Words that both prompts have, in order, keep the source's maps; the others of the edit have their own.

    The longest common subsequence of tokens, which is the published alignment (Needleman and Wunsch 1970, with 1 for
    equal tokens, -1 for unequal ones and 0 for a gap).
    """
    mapping, own = _ends(source, target), torch.ones(target.places)
    own[0] = 0
    own[len(target.pieces) - 1 :] = 0
    for theirs, ours in common_subsequence(source.pieces[1:-1], target.pieces[1:-1]):
        mapping[theirs + 1, ours + 1], own[ours + 1] = 1, 0
    return Alignment(mapping, own, torch.ones(target.places))


def changed_places(source: PromptTokens, target: PromptTokens) -> tuple[int, ...]:
    """The places of those words of the source that the edit has not, by the alignment of `refined`."""
    kept = {theirs for theirs, _ in common_subsequence(source.pieces[1:-1], target.pieces[1:-1])}
    return tuple(place for place in range(1, len(source.pieces) - 1) if place - 1 not in kept)


ALIGNMENTS: dict[str, Callable[[PromptTokens, PromptTokens], Alignment]] = {"refine": refined, "replace": replaced}
"""Every way to align two prompts, by name."""


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """The longest pairs of indices, rising in both, at which the two are equal."""
    best = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in reversed(range(len(one))):
        for j in reversed(range(len(other))):
            equal = one[i] == other[j]
            best[i][j] = 1 + best[i + 1][j + 1] if equal else max(best[i + 1][j], best[i][j + 1])
    i = j = 0
    pairs = []
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _ends(source: PromptTokens, target: PromptTokens) -> Float[Tensor, "source target"]:
    """Start to start, end to end, and padding to padding: as far behind the end, or the last place."""
    mapping = torch.zeros(source.places, target.places)
    mapping[0, 0] = 1
    for behind, place in enumerate(range(len(target.pieces) - 1, target.places)):
        mapping[min(len(source.pieces) - 1 + behind, source.places - 1), place] = 1
    return mapping
