"""Word alignment: the same prompt is the identity, new words have their own maps, and no map is lost."""

from itertools import combinations, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from recast.backbones.tiny import write_tokenizer
from recast.conditions.word_alignment import ALIGNMENTS, common_subsequence, prompt_tokens, refined, replaced
from recast.errors import RequestError

PLACES = 16


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The tiny tokenizer knows letters only: a word has as many tokens."""
    path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(path, places=PLACES)
    tokenizer = CLIPTokenizer.from_pretrained(path)
    return lambda text: prompt_tokens(tokenizer, text, PLACES)


def test_words_know_their_places(read):
    prompt = read("a red ox a")
    assert prompt.words == (("a", (1,)), ("red", (2, 3, 4)), ("ox", (5, 6)), ("a", (7,)))
    assert prompt.of_word("Red") == (2, 3, 4)
    assert prompt.of_word("a") == (1, 7)
    assert len(prompt.pieces) == 9
    with pytest.raises(RequestError, match="no word 'cat'; it has a, red, ox, a"):
        prompt.of_word("cat")
    assert read("").words == ()


@pytest.mark.parametrize("align", ALIGNMENTS.values(), ids=ALIGNMENTS)
def test_the_same_prompt_is_aligned_place_by_place(read, align):
    alignment = align(read("a red ox"), read("a red ox"))
    assert torch.equal(alignment.mapping, torch.eye(PLACES))
    assert not alignment.own.any()
    assert (alignment.weights == 1).all()


def test_a_word_that_is_added_has_its_own_maps_and_the_others_the_sources(read):
    source, target = read("a ox"), read("a red ox")
    alignment = refined(source, target)
    assert alignment.own.nonzero().flatten().tolist() == list(target.of_word("red"))
    for word in ("a", "ox"):
        for theirs, ours in zip(source.of_word(word), target.of_word(word), strict=True):
            assert alignment.mapping[:, ours].nonzero().flatten().tolist() == [theirs]
    ends = len(source.pieces) - 1, len(target.pieces) - 1
    assert alignment.mapping[ends] == alignment.mapping[0, 0] == 1


def test_a_word_in_anothers_place_takes_all_of_its_maps(read):
    source, target = read("a red ox"), read("a big cow")
    alignment = replaced(source, target)
    assert torch.equal(alignment.mapping[2:5, 2:5], torch.eye(3))
    assert torch.equal(alignment.mapping[5:7, 5:8], torch.full((2, 3), 1 / 3))
    words = slice(1, len(source.pieces) - 1)
    assert torch.allclose(alignment.mapping[words].sum(1), torch.ones(6))  # none of a map is lost
    with pytest.raises(RequestError, match="3 words of the source and 2 of the edit"):
        replaced(source, read("a cow"))


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_common_subsequence_is_a_longest_one(one, other):
    pairs = common_subsequence(one, other)
    assert all(one[i] == other[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    theirs = {"".join(part) for size in range(len(other) + 1) for part in combinations(other, size)}
    ours = ("".join(part) for size in range(len(one) + 1) for part in combinations(one, size))
    assert len(pairs) == max(len(part) for part in ours if part in theirs)
