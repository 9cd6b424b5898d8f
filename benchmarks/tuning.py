"""A step of tuning against a plain Tune-A-Video step, at equal size in one run: `python benchmarks/tuning.py`.

The networks are Stable Diffusion 1.5's at a quarter of their width, with random weights, and both steps train the same
weights by the same loss. The plain one encodes frames and caption anew in each step, as the published loop does. With
--checkpointing it also recomputes its activations, as the published configuration does.
"""

import argparse
import json
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

from recast.engine.config import BatchShard, LossOutput
from recast.training.tuning_cost import stable_diffusion_1, tuning_cost
from recast.tuning.config import TuneConfig
from recast.tuning.tuner import CachedClip, trained_parts, tuning_loss
from recast.types import Condition


def steps(frames: int, side: int, *, checkpointing: bool) -> dict[str, Callable[[], None]]:
    """Both steps by name: forward, backward, and one of AdamW."""
    torch.manual_seed(0)
    backbone, config = stable_diffusion_1(narrower=4), TuneConfig(train="tune-a-video", frames=frames)
    pixels, caption = torch.rand(frames, 3, side, side) * 2 - 1, torch.randint(0, 49_000, (1, 77))

    def encoded() -> CachedClip:
        with torch.no_grad():
            tokens = backbone.prompt.network(caption)[0][0]
            return CachedClip(backbone.encode_pixels(pixels), Condition(tokens, tokens), "", {})

    parts = trained_parts(backbone, config)
    cached = encoded()

    def step(clip: Callable[[], CachedClip]) -> None:
        with parts.trained(config.over_frames) as network:
            trained = [weight for weight in network.parameters() if weight.requires_grad]
            optimizer = torch.optim.AdamW(trained, lr=3e-5)
            answer = tuning_loss(parts.backbone, clip(), config)(network, BatchShard(0))
            assert isinstance(answer, LossOutput)
            answer.mean.backward()
            optimizer.step()

    def plain() -> None:
        if checkpointing:
            backbone.unet.enable_gradient_checkpointing()
            backbone.unet.train()
        step(encoded)
        backbone.unet.disable_gradient_checkpointing()

    return {"ours": lambda: step(lambda: cached), "plain": plain}


def main() -> None:
    """Prints seconds of each, the ratio of their medians, and what ours takes at full width, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--counted", action="store_true", help="Count a step at full width too.")
    asked = parser.parse_args()
    if asked.counted:
        for train in ("tune-a-video", "lora"):
            cost = tuning_cost(TuneConfig(train=train, frames=asked.frames, temporal="none"))
            print(json.dumps({"train": train, "tflop": cost.flops / 1e12, "gib": cost.memory / 2**30}))
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    both = steps(asked.frames, asked.side, checkpointing=asked.checkpointing)
    for number in range(asked.rounds + 1):
        for name, step in both.items():  # in turn, so that a busy machine slows both alike
            began = perf_counter()
            step()
            if number:  # the first round warms up
                seconds[name].append(perf_counter() - began)
    medians = {name: median(each) for name, each in seconds.items()}
    print(json.dumps({"seconds": medians, "plain over ours": medians["plain"] / medians["ours"]}))


if __name__ == "__main__":
    main()
