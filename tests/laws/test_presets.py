"""Presets: every trainable tensor learns, one clip is learned by heart, stages join, costs are in closed form."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recast.backbones.tiny import tiny
from recast.engine.loop import BatchShard, LossOutput, TrainConfig, fit
from recast.model.folder import ModelFolder
from recast.networks.generator import Generator
from recast.networks.storage import save
from recast.recipes import PRESETS
from recast.recipes.gen1 import GEN1
from recast.training import export
from recast.training.component_stages import PairStage, PriorStage
from recast.training.stages import CHECKPOINTING, GeneratorStage, Inputs
from recast.training.video_stage import VideoStage
from recast.training.word_stage import WordStage
from small_presets import LAYERS, cached, distinct, initial_network, small

STEPS = 12
"""With one step in eight on images: seed by seed, both kinds are among the first so many."""
DISTINCT = distinct()
FREEZING = {
    *(
        "gen1-images",
        "prior",
        "pocket-decoder",
        "pocket-prior",
        "pocket-images",
        "make-your-video-clips",
        "ccedit-clips",
    ),
    *(f"follow-your-pose-{part}" for part in ("images", "poses", "clips")),
}
"""Of those, the ones that leave a part of their network as it is."""


def mean(output: Tensor | LossOutput) -> Tensor:
    return output.mean if isinstance(output, LossOutput) else output


@pytest.mark.parametrize("name", DISTINCT)
def test_every_trainable_tensor_gets_a_gradient(name: str):
    stage, inputs = small(name)
    network, loss = initial_network(stage, inputs), stage.loss(inputs)
    trained = {key: weight for key, weight in network.named_parameters() if weight.requires_grad}
    reached: set[str] = set()
    optimizer = torch.optim.SGD(trained.values(), lr=0.05)
    for step in range(STEPS):  # the insides of the temporal transformers start behind a zero, for one step
        optimizer.zero_grad()
        mean(loss(network, BatchShard(step))).backward()
        optimizer.step()
        reached |= {key for key, weight in trained.items() if weight.grad is not None and weight.grad.any()}
        if reached == trained.keys():
            break
    assert not trained.keys() - reached
    assert (len(trained) < len(list(network.parameters()))) == (name in FREEZING)


@pytest.mark.parametrize("name", sorted(FREEZING))
def test_frozen_tensors_stay(name: str, tmp_path: Path):
    stage, inputs = small(name)
    network = initial_network(stage, inputs)
    frozen = {key: weight.clone() for key, weight in network.named_parameters() if not weight.requires_grad}
    fit(network, stage.loss(inputs), TrainConfig(steps=2, precision="fp32"), tmp_path)
    state = dict(network.named_parameters())
    assert all(torch.equal(weight, state[key]) for key, weight in frozen.items())


@pytest.mark.parametrize("name", [name for name in DISTINCT if not isinstance(PRESETS[name].stage, PairStage)])
def test_two_parts_of_a_batch_are_the_batch(name: str):
    stage, inputs = small(name)
    if isinstance(stage, GeneratorStage):
        stage = replace(stage, batches=replace(stage.batches, clips=2 * (stage.batches.clips > 0)))
    elif not isinstance(stage, WordStage | VideoStage):
        stage = replace(stage, **{"captions" if isinstance(stage, PriorStage) else "images": 2})
    network, loss = initial_network(stage, inputs), stage.loss(inputs)
    trained = [weight for weight in network.parameters() if weight.requires_grad]

    def gradient(parts: int) -> list[Tensor]:
        network.zero_grad()
        for part in range(parts):
            (mean(loss(network, BatchShard(1, part, parts))) / parts).backward()
        return [torch.zeros_like(weight) if weight.grad is None else weight.grad.clone() for weight in trained]

    for whole, divided in zip(gradient(1), gradient(2), strict=True):
        torch.testing.assert_close(divided, whole, rtol=1e-3, atol=1e-6)


def test_what_the_image_model_brought_learns_slowly(tmp_path: Path):
    stage, inputs = small("gen1-structure")
    values = {"steps": 1, "warmup": 0, "accumulate": 1, "decay": 0.0, "precision": "fp32", "ema": 0.0}
    before, after = initial_network(stage, inputs), initial_network(stage, inputs)
    fit(after, stage.loss(inputs), replace(GEN1["gen1-structure"].config, **values), tmp_path)
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
    network, loss = initial_network(stage, inputs), stage.loss(inputs)

    def measured() -> float:
        with torch.no_grad():
            return sum(mean(loss(network, BatchShard(1_000_000 + i))).item() for i in range(24)) / 24

    before = measured()
    fit(network, loss, TrainConfig(steps=400, rate=3e-3, warmup=20, ema=0.98, precision="fp32"), tmp_path)
    assert measured() < 0.05 * before


def gradients(checkpointing: str, *, frozen: bool = False) -> list[Tensor | None]:
    stage, inputs = small("gen1-joint")
    network = initial_network(replace(stage, checkpointing=checkpointing), inputs)
    if frozen:
        for key, weight in network.named_parameters():
            weight.requires_grad_(".temporal." in key and "up_blocks" not in key)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for weight in network.parameters():
            weight.data.add_(0.02 * torch.randn_like(weight))
    mean(stage.loss(inputs)(network, BatchShard(0))).backward()
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
    export.publish(network, "unet", path)
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
    x, conditioning = (
        torch.randn(2, 3, 12, 8, 8),
        (torch.tensor([7.0, 800.0]), torch.randn(2, 12), torch.tensor([True, False])),
    )
    for video in (True, False):
        assert torch.equal(before(x[:, :, :4], *conditioning, video=video), after(x, *conditioning, video=video))
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
