"""What a training will take: FLOPs and bytes, counted on the meta device, against closed forms and published counts."""

from dataclasses import replace

import pytest
import torch

from recast.recipes import PRESETS
from recast.recipes.gen1 import GEN1
from recast.recipes.pocket.presets import POCKET
from recast.training.component_stages import PairStage
from recast.training.cost import cost, row_bytes, row_flops, rows_seen, step_flops
from recast.training.stages import CHECKPOINTING, GeneratorStage, Inputs
from small_presets import initial_network, small


def test_the_paper_has_so_many_weights_and_products():
    images, detail = (GEN1[name].stage for name in ("gen1-images", "gen1-detail"))
    with torch.device("meta"):
        weights = [weight for weight in images.network(Inputs()).parameters() if weight.requires_grad]
    # Stable Diffusion 1.5's UNet has 859,520,964 weights; the projection makes four tokens of 768, normed.
    assert sum(weight.numel() for weight in weights) == 859_520_964 + 768 * 3072 + 3072 + 2 * 768
    # 2.58e12 forward for eight images of 448 x 256, as published counts have it, and twice that backward.
    assert row_flops(images, "images") == pytest.approx(3 * 2.58e12 / 8 * (384 * 320) / (448 * 256), rel=0.02)
    # Layers over time add 47 % to the images of a clip, and structure's channels next to nothing.
    assert row_flops(detail, "clips") == pytest.approx(8 * 3 * 2.58e12 / 8 * 1.5, rel=0.02)


def test_the_cost_of_published_clip_pairs():
    # A ViT-L/14 takes 162.03e9 for an image and 13.30e9 for a caption of 77 pieces, as open_clip's table has it.
    pair, prior = PRESETS["clip"].stage, PRESETS["prior"].stage
    assert row_flops(pair, "images") == pytest.approx(3 * (162.03e9 + 13.30e9), rel=0.02)
    # A transformer of width w takes 24 w^2 for each of n tokens in a layer, and 4 n w more for their attention. The
    # prior's are 77 words, their sum, the level, the noisy embedding and the answer; its reader is not trained.
    width, tokens, layers = 32 * 64, 77 + 4, 20
    forward = layers * tokens * (24 * width**2 + 4 * tokens * width)
    assert row_flops(prior, "captions") == pytest.approx(3 * forward + 13.30e9, rel=0.02)


def test_a_run_is_its_rows():
    preset = POCKET["pocket-depth-6"]
    counted, hardware = cost(preset), preset.hardware
    assert counted.seen == {"clips": preset.stage.batch["clips"] * preset.config.steps}
    assert counted.flops == counted.seen["clips"] * counted.rows["clips"].flops
    assert counted.hours * 3600 * hardware.tflops * 1e12 * hardware.use == pytest.approx(counted.flops)
    joint = GEN1["gen1-joint"].stage
    assert rows_seen(joint, 75_000) == {"images": 9216 * 75_000 // 8, "clips": 1152 * 75_000 * 7 // 8}


def test_products_are_counted_in_closed_form():
    """A convolution of c to d channels, k taps, over n places takes 2 c d k n, and backward twice that."""
    stage, _ = small("depth")
    convolutions = [(12, 8, 9, 256), (8, 8, 9, 256), (8, 8, 9, 256), (8, 8, 1, 256)]
    convolutions += [(8, 8, 9, 64), (8, 8, 9, 64), (8, 8, 1, 64), (16, 8, 9, 256), (8, 8, 9, 256), (16, 8, 1, 256)]
    convolutions += [(8, 4, 9, 256)]
    forward = sum(2 * c * d * k * n for c, d, k, n in convolutions)
    first = 2 * 12 * 8 * 9 * 256  # the picture itself needs no gradient
    assert row_flops(replace(stage, size=(32, 32)), "images") == 3 * forward - first
    frames, mixed = 4, 8 * 256 + 8 * 64 + 16 * 256  # of each block's input: channels times places
    weighed = 2 * 3 * frames**2 * (8 + 8 + 16)  # forward and once backward: which frames are neighbours is not learned
    over_time = 3 * (2 * frames**2 * mixed) + 2 * weighed
    clips = replace(small("pocket-depth-6")[0], size=(32, 32), frames=frames)
    assert row_flops(clips, "clips") == frames * (3 * forward - first) + over_time


@pytest.mark.parametrize(
    "name", ["pocket-vae", "pocket-depth-6", "clip", "pocket-clip", "prior", "pocket-prior", "gen1-detail"]
)
def test_a_step_takes_what_its_rows_take(name: str):
    """Of the network at hand, on data of the sizes at hand, which are the stage's here."""
    stage, inputs = small(name)
    if isinstance(stage, GeneratorStage):
        stage = replace(stage, picture_sizes=((64, 64),), clip_sizes=((64, 64),))
    if isinstance(stage, PairStage):  # its captions fill all places
        inputs = replace(inputs, pools=[replace(inputs.pools[0], captions=[["a " * 8] * 4] * 6)])
    network = initial_network(stage, inputs)
    before = [weight.clone() for weight in network.parameters()]
    rows = rows_seen(stage, 800)
    expected = sum(
        count / 800 * row_flops(replace(stage, size=(32, 32)) if name == "pocket-depth-6" else stage, kind)
        for kind, count in rows.items()
    )
    assert step_flops(stage, network, inputs) == pytest.approx(expected)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_each_of_two_processes_takes_half_a_step():
    stage, inputs = small("pocket-prior")
    network = initial_network(stage, inputs)
    assert step_flops(stage, network, inputs, 2) == pytest.approx(step_flops(stage, network, inputs) / 2)


def test_checkpointing_saves_memory_in_its_order():
    stage, _ = small("gen1-joint")
    none, selective, full = (row_bytes(stage, "clips", way) for way in CHECKPOINTING)
    assert none > selective > full > 0
