"""What contracts of methods share: a tiny backbone, and edits that are run once for all tests."""

from functools import cache

import pytest

from method_inputs import inputs_of
from recast.backbones.tiny import tiny


@pytest.fixture(scope="session")
def backbone():
    return tiny(0)


@pytest.fixture(scope="session")
def edited(backbone):
    """The usual inputs' latents by a method with its knobs; equal ones are run once for all tests."""

    @cache
    def edited(made, cfg_scale=6.0):
        return made(inputs_of(backbone, cfg_scale=cfg_scale), backbone)

    return edited
