"""What a method says it ignores, it ignores; what it does not, it reads."""

from dataclasses import replace

import pytest
import torch

from method_shots import ABLE, shot_of
from recast.diffusion.samplers import SAMPLERS
from recast.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")


@pytest.mark.parametrize("method", ABLE.values(), ids=ABLE)
def test_settings_change_an_edit_unless_the_method_ignores_them(method, backbone, edited):
    shot, plain, ignores = shot_of(backbone), edited(method()), method().ignores
    turned = shot.condition.structure_channels.flip(-1)
    others = {
        "scheduler": replace(shot, sampler=SAMPLERS["heun"]),
        "structure": replace(
            shot,
            condition=replace(shot.condition, structure_channels=turned),
            source=replace(shot.source, structure_channels=turned),
        ),
    }
    for name, other in others.items():
        assert torch.equal(method()(other, backbone), plain) is (name in ignores), name


def test_flowedit_reads_the_sampler_where_it_has_a_tail():
    flowedit = METHODS["flowedit"]
    assert "scheduler" in flowedit().ignores
    assert "scheduler" not in flowedit(tail=0.5).ignores
