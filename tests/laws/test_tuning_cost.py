"""What a step of tuning takes at the size of Stable Diffusion 1.5, counted on the meta device."""

import pytest

from recast.training.tuning_cost import FP32_BYTES, TuningCost, tuning_cost
from recast.tuning.config import TuneConfig


def test_memory_is_weights_and_what_training_keeps_of_them():
    cost = TuningCost(flops=0, weights=10, trained=3, activations=100)
    assert cost.memory == 100 + FP32_BYTES * (10 + 4 * 3)


@pytest.mark.slow
def test_a_step_is_one_pass_forward_and_one_and_a_third_backward():
    """SD 1.5's UNet has 859,520,964 weights and takes 0.803e12 for a latent of 64 x 64 forward, as published counts."""
    lora = tuning_cost(TuneConfig(train="lora", temporal="none", attention="own"))
    frozen = lora.weights - lora.trained
    assert frozen == 859_520_964
    forward = 8 * 0.803e12
    # Backward through frozen layers takes as much as forward; the gradients of attention's whole matrices, from which
    # those of the two small ones are made, come on top.
    assert 2.2 * forward < lora.flops < 2.4 * forward
    one_shot = tuning_cost(TuneConfig(train="one-shot", temporal="none"))
    assert one_shot.flops > lora.flops
    assert one_shot.memory > lora.memory > FP32_BYTES * frozen
