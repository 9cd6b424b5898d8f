"""A small network with all that a checkpoint must keep, a loss to train it with, and the same as a program of its own.

The network has weights, buffers that change, chance of its own, and a branch that only some steps use.
`python training_run.py RUN [--engine fsdp] ...` trains it and writes its weights to RUN/trained.safetensors.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recast.engine.config import Loss
from recast.engine.distributed import ENGINES, joined
from recast.engine.launch import leave
from recast.engine.loop import BatchShard, LossOutput, TrainConfig, fit
from recast.errors import RecastError

BATCH = 8


class Small(nn.Module):
    def __init__(self, dropout: float = 0.2, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Linear(5, 16)
            self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
            self.seldom = nn.Linear(16, 16)
            self.last = nn.Linear(16, 2)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor, *, video: bool) -> Tensor:
        if self.training:
            self.seen += 1
        x = self.first(x)
        for block in self.blocks:
            x = x + self.dropout(block(x).tanh())
        return self.last(x + self.seldom(x) if video else x)


def squares(network: Small, share: BatchShard) -> LossOutput:
    """Every third step leaves `seldom` alone, as steps on images leave the layers over time."""
    rows = [torch.Generator().manual_seed(1000 * share.step + row) for row in share.rows(BATCH)]
    drawn = torch.stack([torch.randn(5, generator=rng) for rng in rows])
    off = network(drawn, video=share.step % 3 > 0).float() - drawn[:, :2].sin()
    each = off.square().mean(1)
    return LossOutput(each.mean(), each, torch.stack([torch.rand((), generator=rng) for rng in rows]))


def strip(network: nn.Module) -> Tensor:
    """Draws from chance, as a sampler might, and needs a network that is not training."""
    assert not network.training
    shown = network(torch.randn(4, 5), video=True)
    return (shown.sigmoid() * 255).byte().expand(3, 4, 2)


def spacetime() -> nn.Module:
    """The network of Gen-1, tiny, computing parts of itself again on the way back."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from recast.networks.spacetime import inflate

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        image = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=8,
            attention_head_dim=2,
            norm_num_groups=4,
        )
        return inflate(image, max_frames=8).enable_gradient_checkpointing()


def frames(network: nn.Module, share: BatchShard) -> Tensor:
    """Every third step is of images, which leave the layers over time alone."""
    video = share.step % 3 > 0
    rows = [torch.Generator().manual_seed(1000 * share.step + row) for row in share.rows(BATCH)]
    noisy = torch.stack([torch.randn(3 if video else 1, 4, 8, 8, generator=rng) for rng in rows])
    level = torch.stack([torch.randint(1000, (), generator=rng) for rng in rows]).float()
    tokens = torch.stack([torch.randn(2, 8, generator=rng) for rng in rows])
    return (network(noisy, level, tokens, video).float() - noisy.sin()).square().mean()


def recipe(steps: int = 20, keep_every: int = 5, rate: float = 1e-2, **other: float | str) -> TrainConfig:
    return TrainConfig(steps=steps, keep_every=keep_every, rate=rate, warmup=3, ema=0.9, precision="fp32", **other)


class Stopped(Exception):  # noqa: N818
    """What a loss raises that ends its run without a word, as if killed."""


def stopped_at(step: int) -> Loss[Small]:
    """The loss of squares up to a step, at which it raises Stopped."""

    def interrupted(network: Small, share: BatchShard) -> LossOutput:
        if share.step == step:
            raise Stopped
        return squares(network, share)

    return interrupted


def flat(network: nn.Module) -> Tensor:
    """All weights and buffers in a row."""
    return torch.cat([weight.detach().double().flatten() for weight in network.state_dict().values()])


def written(run: Path) -> Tensor:
    """The same, of a program's result."""
    kept = load_file(run / "trained.safetensors")
    return torch.cat([kept[name].double().flatten() for name in Small().state_dict()])


def asked_for() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--spacetime", action="store_true", help="the network of Gen-1 instead of the small one")
    parser.add_argument("--strip", action="store_true", help="draws a picture at each checkpoint")
    parser.add_argument("--engine", choices=ENGINES, default="ddp")
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--keep-every", type=int, default=5)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--stop-after", type=int, help="steps after which this process asks itself to stop")
    parser.add_argument("--insist", action="store_true", help="asks twice")
    parser.add_argument("--kill-at", type=int, help="the step at which this process is killed")
    parser.add_argument("--die-once", type=int, help="the step at which rank 1 is killed, the first time")
    return parser.parse_args()


def main() -> int:
    args = asked_for()
    torch.set_num_threads(1)

    def loss(network: nn.Module, share: BatchShard) -> Tensor | LossOutput:
        marker = args.run / "died"
        if share.step == args.die_once and os.environ["RANK"] == "1" and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if share.step == args.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if share.step + 1 == args.stop_after and os.environ.get("RANK", "0") == "0":
            for _ in range(1 + args.insist):
                os.kill(os.getpid(), signal.SIGTERM)
        return (frames if args.spacetime else squares)(network, share)

    args.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)  # dropout draws from there
    network = spacetime() if args.spacetime else Small(args.dropout)
    asked = recipe(args.steps, args.keep_every, args.rate, accumulate=args.accumulate)
    with joined(args.engine, "cpu") as engine:
        try:
            network = fit(network, loss, asked, args.run, engine=engine, samples=strip if args.strip else None)
        except RecastError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        if engine.first:
            kept = {name: weight.contiguous() for name, weight in network.state_dict().items()}
            save_file(kept, args.run / "trained.safetensors")
    return 0


if __name__ == "__main__":
    code = main()
    if "RANK" in os.environ:
        leave(code)
    sys.exit(code)
