"""Answers averaged over noise: one is the denoiser itself, and what hangs on the noise shrinks with their number."""

from fractions import Fraction

import pytest
import torch
from torch.testing import assert_close

from recast.denoising import DenoiseInputs
from recast.diffusion.ensemble import ensembled
from recast.diffusion.samplers import ddim
from recast.types import Clip, Condition

NOTHING = Condition(torch.zeros(1, 1), torch.zeros(1, 1))
INPUTS = DenoiseInputs(Clip(torch.zeros(16, 3, 8, 8, dtype=torch.uint8), Fraction(8)), NOTHING, ddim, seed=3)
LIKE = torch.zeros(16, 4, 8, 8, dtype=torch.float64)


def gaussian(spread: float, asked: list[float]):
    """The exact denoiser of data that is normal about 5, by its deviation."""

    def denoise(x, sigma, _condition):
        asked.append(sigma)
        share = spread**2 / (spread**2 + sigma**2)
        return 5 + share * (x - 5)

    return denoise


def test_one_answer_is_the_denoiser_itself():
    denoise = gaussian(1.0, [])
    assert ensembled(denoise, 1, INPUTS.noise) is denoise


@pytest.mark.parametrize("members", [2, 5])
def test_an_answer_that_hangs_on_no_noise_stays(members: int):
    asked: list[float] = []
    answer = ensembled(gaussian(0.0, asked), members, INPUTS.noise)(INPUTS.noise(LIKE), 2.0, NOTHING)
    assert_close(answer, torch.full_like(LIKE, 5.0))
    assert asked == [2.0] * members


def test_what_hangs_on_the_noise_is_as_computed_by_hand():
    """For an affine denoiser D(x) = 5 + a (x - 5) the deviation of the mean over members is known in closed form."""
    sigma, members, a = 2.0, 4, 1 / (1 + 2.0**2)
    x = 5 + sigma * INPUTS.noise(LIKE)
    off = ensembled(gaussian(1.0, []), members, INPUTS.noise)(x, sigma, NOTHING) - 5
    first = (1 + (members - 1) * a) * a * sigma  # the first answer is in all the others
    others = a * sigma * (members - 1) ** 0.5
    assert off.std().item() == pytest.approx((first**2 + others**2) ** 0.5 / members, rel=0.05)
    assert off.std() < 0.6 * (gaussian(1.0, [])(x, sigma, NOTHING) - 5).std()


def test_a_frame_has_many_noises_of_its_own():
    drawn = torch.stack([INPUTS.noise(LIKE, number) for number in range(4)]).flatten(2)
    likeness = torch.corrcoef(drawn.flatten(0, 1)) - torch.eye(64)
    assert likeness.abs().max() < 0.4
    assert torch.equal(INPUTS.noise(LIKE), INPUTS.noise(LIKE, 0))
