"""Prompt-to-prompt: the source's maps with the edit's values, aligned, reweighted, and blended where words are."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from attention_calls import GRID, attended, call_of
from recast.errors import BackboneError
from recast.networks.hooks import SiteKind
from recast.networks.map_control import (
    Alignment,
    CrossMapControl,
    SelfMapControl,
    WordMaps,
    record_places,
    record_words,
)

FRAMES = (5, 6)


def recorded(call):
    record = record_words() if call.kind is SiteKind.CROSS else record_places()
    record(call, attended)
    return record


def crossed(keys=4, seed=0, **settings):
    return call_of(FRAMES, kind=SiteKind.CROSS, keys=keys, seed=seed, **settings)


def test_the_same_call_is_answered_as_it_would_be_by_itself():
    cross, own = crossed(), call_of(FRAMES)
    assert_close(CrossMapControl(record=recorded(cross))(cross, attended), attended(cross))
    assert_close(SelfMapControl(record=recorded(own))(own, attended), attended(own))


def test_the_sources_maps_weigh_the_edits_values():
    source, edit = crossed(), crossed(seed=1)
    answer = CrossMapControl(record=recorded(source))(edit, attended)
    assert_close(answer, attended(replace(edit, q=source.q, k=source.k)))
    other = replace(edit, branch=1)
    assert torch.equal(CrossMapControl(record=recorded(source))(other, attended), attended(other))


def test_a_permutation_of_words_permutes_maps_and_a_new_word_keeps_its_own():
    source, edit = crossed(), crossed(keys=5, seed=1)
    order = [2, 0, 3, 1]
    mapping = torch.zeros(4, 5)
    mapping[order, range(4)] = 1
    alignment = Alignment(mapping, torch.tensor([0, 0, 0, 0, 1.0]), torch.ones(5))
    answer = CrossMapControl(record=recorded(source), alignment=alignment)(edit, attended)
    maps = torch.cat([source.probabilities()[..., order], edit.probabilities()[..., 4:]], -1)
    assert_close(answer, edit.weighted(maps))
    with pytest.raises(BackboneError, match=r"\(4, 5\) tokens does not fit 5 tokens"):
        CrossMapControl(record=recorded(edit), alignment=alignment)(edit, attended)


def test_reweighting_is_linear_in_the_weight():
    source = crossed()
    none, twice = (Alignment.same(4).reweighted([1, 2], weight) for weight in (0.0, 2.0))
    answers = [CrossMapControl(record=recorded(source), alignment=each)(source, attended) for each in (none, twice)]
    assert_close((answers[0] + answers[1]) / 2, attended(source))


def test_a_mask_keeps_the_edits_own_maps():
    source, edit = call_of(FRAMES), call_of(FRAMES, seed=1)
    inside = torch.zeros(2, GRID[0] * GRID[1])
    inside[:, :2] = 1
    answer = SelfMapControl(record=recorded(source), mask=lambda _call: inside)(edit, attended)
    assert_close(answer[:, :2], attended(edit)[:, :2])
    assert_close(answer[:, 2:], attended(replace(edit, q=source.q, k=source.k))[:, 2:])


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that is made."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        tensors = [each for each in (made if isinstance(made, tuple) else (made,)) if isinstance(each, torch.Tensor)]
        self.numbers = max([self.numbers, *(each.untyped_storage().nbytes() // each.itemsize for each in tensors)])
        return made


def test_no_map_of_places_is_made_nor_kept():
    """A map is the square of the places; what is kept and made of it here is the places times their features."""
    source, edit = (wide(call_of(FRAMES, seed=seed)) for seed in (0, 1))
    inside = torch.ones(edit.q.shape[:2])
    with torch.no_grad(), Largest() as largest:
        record = recorded(source)
        SelfMapControl(record=record, mask=lambda _call: inside)(edit, attended)
    assert 0 < largest.numbers <= 2 * edit.q.numel()
    with torch.no_grad(), Largest() as largest:
        edit.probabilities()
    assert largest.numbers == len(FRAMES) * edit.heads * edit.q.shape[1] ** 2 > 100 * edit.q.numel()


def wide(call, times=100):
    """A call of so many times its places."""
    grown = {name: getattr(call, name).repeat(1, times, 1) for name in ("hidden", "q", "k", "v")}
    return replace(call, grid=(times * call.grid[0], call.grid[1]), **grown)


def test_the_map_of_a_word_finds_where_its_key_is_looked_for():
    """Only the first place of frame 5 asks for token 1; the other frame asks for nothing."""
    call = crossed()
    q, k = torch.zeros_like(call.q), torch.zeros_like(call.k)
    k[:, 1], q[0, 0] = 40.0, 40.0
    looked = WordMaps(tokens=(1,), size=(4, 6))
    looked(replace(call, q=q, k=k), attended)
    mask = looked.mask(2.0, FRAMES, threshold=0.5)
    assert mask[0, 0, 0, 0] == 1
    assert mask[0, 0, :, 4:].sum() == 0
    assert mask[1].min() == 1  # a flat map has its largest value everywhere
    at_places = looked.place_mask(0.5)(call)
    assert at_places.shape == (2, GRID[0] * GRID[1])
    assert at_places[0, 0] == 1
    with pytest.raises(BackboneError, match="frame 7"):
        looked.mask(2.0, (7,))
