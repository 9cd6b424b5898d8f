"""What a method says it ignores, it ignores; what it does not, it reads."""

from dataclasses import replace

import pytest
import torch

from method_inputs import ABLE, inputs_of
from recast.diffusion.samplers import SAMPLERS
from recast.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")


@pytest.mark.parametrize("method", ABLE.values(), ids=ABLE)
def test_settings_change_an_edit_unless_the_method_ignores_them(method, backbone, edited):
    inputs, plain, ignores = inputs_of(backbone), edited(method()), method().ignores
    turned = inputs.condition.structure_channels.flip(-1)
    others = {
        "scheduler": replace(inputs, sampler=SAMPLERS["heun"]),
        "structure": replace(
            inputs,
            condition=replace(inputs.condition, structure_channels=turned),
            source=replace(inputs.source, structure_channels=turned),
        ),
    }
    for name, other in others.items():
        assert torch.equal(method()(other, backbone), plain) is (name in ignores), name


def test_flowedit_reads_the_sampler_where_it_has_a_tail():
    flowedit = METHODS["flowedit"]
    assert "scheduler" in flowedit().ignores
    assert "scheduler" not in flowedit(tail=0.5).ignores
