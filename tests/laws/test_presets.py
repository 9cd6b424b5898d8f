"""Presets: every trainable tensor learns, one clip is learned by heart, stages join, costs are in closed form."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recast.backbones.tiny import tiny
from recast.models.storage import save
from recast.training import publishing
from recast.training.components import PairStage, PriorStage
from recast.training.cost import cost, row_bytes, row_flops, rows_seen, step_flops
from recast.training.generator import Generator
from recast.training.loop import Measured, Recipe, Share, fit
from recast.training.presets import GEN1, POCKET, PRESETS
from recast.training.stages import CHECKPOINTING, GeneratorStage, Inputs, Stage
from recast.weights import ModelFolder
from small_presets import LAYERS, cached, small

STEPS = 12
"""With one step in eight on images: seed by seed, both kinds are among the first so many."""


def begun(stage: Stage, inputs: Inputs) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return stage.network(inputs)


def mean(told: Tensor | Measured) -> Tensor:
    return told.mean if isinstance(told, Measured) else told


@pytest.mark.parametrize("name", PRESETS)
def test_every_trainable_tensor_gets_a_gradient(name: str):
    stage, inputs = small(name)
    network, loss = begun(stage, inputs), stage.loss(inputs)
    trained = {key: weight for key, weight in network.named_parameters() if weight.requires_grad}
    reached: set[str] = set()
    optimizer = torch.optim.SGD(trained.values(), lr=0.05)
    for step in range(STEPS):  # the insides of the temporal transformers start behind a zero, for one step
        optimizer.zero_grad()
        mean(loss(network, Share(step))).backward()
        optimizer.step()
        reached |= {key for key, weight in trained.items() if weight.grad is not None and weight.grad.any()}
    assert not trained.keys() - reached


@pytest.mark.parametrize("name", PRESETS)
def test_frozen_tensors_stay(name: str, tmp_path: Path):
    stage, inputs = small(name)
    network = begun(stage, inputs)
    frozen = {key: weight.clone() for key, weight in network.named_parameters() if not weight.requires_grad}
    fit(network, stage.loss(inputs), Recipe(steps=2, precision="fp32"), tmp_path)
    state = dict(network.named_parameters())
    assert all(torch.equal(weight, state[key]) for key, weight in frozen.items())


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.endswith("clip")])
def test_four_parts_of_a_batch_are_the_batch(name: str):
    stage, inputs = small(name)
    if isinstance(stage, GeneratorStage):
        stage = replace(stage, batches=replace(stage.batches, clips=4 * (stage.batches.clips > 0)))
    else:
        stage = replace(stage, **{"captions" if isinstance(stage, PriorStage) else "images": 4})
    network, loss = begun(stage, inputs), stage.loss(inputs)
    trained = [weight for weight in network.parameters() if weight.requires_grad]

    def gradient(parts: int) -> list[Tensor]:
        network.zero_grad()
        for part in range(parts):
            (mean(loss(network, Share(1, part, parts))) / parts).backward()
        return [torch.zeros_like(weight) if weight.grad is None else weight.grad.clone() for weight in trained]

    for whole, divided in zip(gradient(1), gradient(4), strict=True):
        torch.testing.assert_close(divided, whole, rtol=1e-3, atol=1e-6)


def test_what_the_image_model_brought_learns_slowly(tmp_path: Path):
    stage, inputs = small("gen1-structure")
    said = {"steps": 1, "warmup": 0, "accumulate": 1, "decay": 0.0, "precision": "fp32", "ema": 0.0}
    before, after = begun(stage, inputs), begun(stage, inputs)
    fit(after, stage.loss(inputs), replace(GEN1["gen1-structure"].recipe, **said), tmp_path)
    start = dict(before.named_parameters())
    # Adam's first step is as long as the rate, wherever there is a gradient at all.
    lengths = {key: (weight - start[key]).abs().max().item() for key, weight in after.named_parameters()}
    for key, length in lengths.items():
        new = ".temporal." in key or key.startswith(("projection", "net.unet.conv_in."))
        assert length == 0 or length == pytest.approx(1e-4 if new else 1e-5, rel=0.05), key
    assert {round(length, 5) for length in lengths.values()} == {0, 1e-5, 1e-4}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gen1-joint", "pocket-video"])
def test_one_clip_is_learned_by_heart(name: str, tmp_path: Path):
    stage, _ = small(name)
    layers = replace(stage.layers, widths=(32, 32))
    stage = replace(stage, layers=layers, batches=replace(stage.batches, images=8, clips=4))
    inputs = Inputs(sources=[cached(frames=2, clips=1)])
    network, loss = begun(stage, inputs), stage.loss(inputs)

    def measured() -> float:
        with torch.no_grad():
            return sum(mean(loss(network, Share(1_000_000 + i))).item() for i in range(24)) / 24

    before = measured()
    fit(network, loss, Recipe(steps=400, rate=3e-3, warmup=20, ema=0.98, precision="fp32"), tmp_path)
    assert measured() < 0.05 * before


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
    preset = POCKET["pocket-depth"]
    told, hardware = cost(preset), preset.hardware
    assert told.seen == {"clips": preset.stage.batch["clips"] * preset.recipe.steps}
    assert told.flops == told.seen["clips"] * told.rows["clips"].flops
    assert told.hours * 3600 * hardware.tflops * 1e12 * hardware.use == pytest.approx(told.flops)
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
    clips = replace(small("pocket-depth")[0], size=(32, 32), frames=frames)
    assert row_flops(clips, "clips") == frames * (3 * forward - first) + over_time


@pytest.mark.parametrize(
    "name", ["pocket-vae", "pocket-depth", "clip", "pocket-clip", "prior", "pocket-prior", "gen1-detail"]
)
def test_a_step_takes_what_its_rows_take(name: str):
    """Of the network at hand, on data of the sizes at hand, which are the stage's here; half of it on two processes.

    Nearly: a picture is told from four captions in a step, and from eight where a row is counted.
    """
    stage, inputs = small(name)
    if isinstance(stage, GeneratorStage):
        stage = replace(stage, picture_sizes=((64, 64),), clip_sizes=((64, 64),))
    if isinstance(stage, PairStage):  # its captions fill all places
        inputs = replace(inputs, pools=[replace(inputs.pools[0], captions=[["a " * 8] * 4] * 6)])
    network = begun(stage, inputs)
    before = [weight.clone() for weight in network.parameters()]
    rows = rows_seen(stage, 800)
    expected = sum(
        count / 800 * row_flops(replace(stage, size=(32, 32)) if name == "pocket-depth" else stage, kind)
        for kind, count in rows.items()
    )
    assert step_flops(stage, network, inputs) == pytest.approx(expected, rel=3e-3 if name.endswith("clip") else 1e-9)
    assert step_flops(stage, network, inputs, 2) == pytest.approx(expected / 2)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_checkpointing_saves_memory_in_its_order():
    stage, _ = small("gen1-joint")
    none, selective, full = (row_bytes(stage, "clips", way) for way in CHECKPOINTING)
    assert none > selective > full > 0


def gradients(checkpointing: str, *, frozen: bool = False) -> list[Tensor | None]:
    stage, inputs = small("gen1-joint")
    network = begun(replace(stage, checkpointing=checkpointing), inputs)
    if frozen:
        for key, weight in network.named_parameters():
            weight.requires_grad_(".temporal." in key and "up_blocks" not in key)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for weight in network.parameters():
            weight.data.add_(0.02 * torch.randn_like(weight))
    mean(stage.loss(inputs)(network, Share(0))).backward()
    return [weight.grad for weight in network.parameters()]


@pytest.mark.parametrize("way", CHECKPOINTING[1:])
def test_checkpointing_changes_no_gradient(way: str):
    for plain, again in zip(gradients("none"), gradients(way), strict=True):
        assert torch.equal(plain, again)


@pytest.mark.parametrize("way", CHECKPOINTING)
def test_a_frozen_beginning_hides_no_gradient(way: str):
    """One-shot tuning freezes all before its first trained layer, where reentrant checkpointing gives no gradient."""
    reached = [grad for grad in gradients(way, frozen=True) if grad is not None]
    assert reached
    assert all(grad.any() for grad in reached)


def folder(path: Path, network: Generator) -> ModelFolder:
    publishing.publish(network, "unet", path)
    return ModelFolder.found(path)


def test_a_stage_starts_as_the_one_before_ended(tmp_path: Path):
    """Structure's channels, added in the third stage, change nothing at its first step; nor do writing and reading."""
    (two, _), (three, _) = small("gen1-joint"), small("gen1-structure")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        before = two.network(Inputs()).eval()
        for weight in before.net.temporal_parameters():
            weight.data.add_(0.05 * torch.randn_like(weight))
        after = three.network(Inputs(start=folder(tmp_path / "model", before))).eval()
    x, told = torch.randn(2, 3, 12, 8, 8), (torch.tensor([7.0, 800.0]), torch.randn(2, 12), torch.tensor([True, False]))
    for video in (True, False):
        assert torch.equal(before(x[:, :, :4], *told, video=video), after(x, *told, video=video))
    assert torch.equal(before.net.unet.conv_in.bias, after.net.unet.conv_in.bias)


def test_an_image_model_is_a_start(tmp_path: Path):
    backbone = tiny()
    save(backbone.net, tmp_path)
    stage = replace(GEN1["gen1-detail"].stage, layers=LAYERS)
    (tmp_path / "model_index.json").write_text("{}")
    for part in (tmp_path / "temporal").iterdir():
        part.unlink()
    (tmp_path / "temporal").rmdir()
    network = stage.network(Inputs(start=ModelFolder.found(tmp_path)))
    assert torch.equal(network.net.unet.conv_in.weight, backbone.net.unet.conv_in.weight)
    assert not any(weight.any() for key, weight in network.net.temporal_state_dict().items() if "proj_out" in key)
