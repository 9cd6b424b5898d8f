"""The progress of walks: one count that only grows, over the way up and the way down."""

import pytest
import torch

from recast.denoising import unchanged
from recast.diffusion.inversion import ddim_inversion
from recast.diffusion.samplers import ddim
from recast.diffusion.schedule import truncated
from recast.editing.progress import reporting
from recast.types import Condition

LEVELS = [4.0, 3.0, 2.0, 1.0, 0.0]
NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))
X = torch.ones(1, 4, 2, 2)


def halved(x, _sigma, _condition):
    return x / 2


@pytest.mark.parametrize("inverts", [False, True])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_count_grows_from_step_to_step_and_ends_where_it_should(inverts, strength):
    reports, sigmas = [], truncated(LEVELS, strength)
    hooks = reporting(lambda done, total: reports.append((done, total)), LEVELS, unchanged)
    if inverts:
        ddim_inversion(halved, X, sigmas, NOTHING, step_hook=hooks["inversion_hook"])
    ddim(halved, X, sigmas, NOTHING, step_hook=hooks["step_hook"])
    counts = [done for done, _ in reports]
    assert {total for _, total in reports} == {8 if inverts else 4}
    assert counts == sorted(set(counts))
    assert len(counts) == (len(sigmas) - 1) * (1 + inverts)
    assert reports[-1][0] == reports[-1][1]


def test_on_the_way_up_nothing_is_edited_and_on_the_way_down_all_is():
    hooks = reporting(lambda _done, _total: None, LEVELS, lambda x, sigma, /: x + sigma)
    assert hooks["inversion_hook"](X, 1.0) is X
    assert torch.equal(hooks["step_hook"](X, 1.0), X + 1)
