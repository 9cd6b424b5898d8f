"""How fast training is: samples a second, and the share of this machine's matrix rate that goes into the model (MFU).

    python benchmarks/training.py pocket-images pocket-video            # two processor cores
    python benchmarks/training.py gen1-detail --rows 16 --steps 20      # one GPU, the paper's size

Whole steps as `recast train` makes them: rows drawn from cached conditioning (zeros of its shapes), forward, backward,
clipping, AdamW, average. Weights are random, which costs the same. A JSON line for each preset and kind of
row; MFU is the model's FLOPs over those of large matrix products, measured in the same run, in the same precision.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from recast.engine.config import BatchShard
from recast.engine.precision import AUTO, PRECISIONS, autocast, chosen_precision, matrix_rates
from recast.engine.state import TrainState
from recast.recipes import PRESETS
from recast.training.cost import row_flops
from recast.training.stages import Blank, GeneratorStage, Inputs

WARM = 3
"""Steps that are not counted."""


def measured(name: str, args: argparse.Namespace) -> Iterator[dict]:
    """A row for images, and one for clips where the preset has any."""
    stage = PRESETS[name].stage
    assert isinstance(stage, GeneratorStage), f"{name} is no generator"
    rate = matrix_rates(args.device)[args.precision]
    for kind, rows in stage.batch.items():
        count = args.rows or min(rows, 64)
        size = (stage.clip_sizes if kind == "clips" else stage.picture_sizes)[0]
        # Only the one kind: image_steps of 0 are all clips, and without clips all are images.
        clips = count if kind == "clips" else 0
        batches = replace(stage.batches, images=count, clips=clips, image_steps=0.0)
        sizes = {"picture_sizes": (size,), "clip_sizes": (size,) if clips else ()}
        alone = replace(stage, batches=batches, **sizes, checkpointing=args.checkpointing)
        frames = stage.batches.frames if clips else 1
        inputs = Inputs(sources=[Blank(frames, size, stage.layers.content_width)])
        seconds, busy = _seconds(alone, inputs, args)
        flops = count * row_flops(alone, kind)
        yield {
            "preset": name,
            "rows": f"{count} {kind} of {frames} x {size[0]} x {size[1]}",
            "device": torch.cuda.get_device_name()
            if args.device == "cuda"
            else f"cpu, {torch.get_num_threads()} threads",
            "precision": args.precision,
            "seconds a step": round(statistics.median(seconds), 4),
            "spread": round(statistics.quantiles(seconds, n=4)[2] - statistics.quantiles(seconds, n=4)[0], 4),
            "processor seconds a step": round(busy, 4),  # what it takes alone, where other work shares the machine
            f"{kind} a second": round(count / statistics.median(seconds), 2),
            "TFLOP a step": round(flops / 1e12, 4),
            "matrix TFLOP/s": round(rate / 1e12, 3),
            "MFU": round(flops / statistics.median(seconds) / rate, 3),
            "checkpointing": args.checkpointing,
        }


def _seconds(stage: GeneratorStage, inputs: Inputs, args: argparse.Namespace) -> tuple[list[float], float]:
    """Of each counted step, and those that each of this process's threads was at work, on average."""
    torch.manual_seed(0)
    network, loss, recipe = stage.network(inputs).to(args.device), stage.loss(inputs), PRESETS["gen1-detail"].config
    learner, taken, worked = TrainState.of(network, recipe), [], 0.0
    for step in range(WARM + args.steps):
        if step == WARM:
            worked = time.process_time()
        began = time.perf_counter()
        with autocast(args.device, args.precision):
            mean = loss(network, BatchShard(step)).mean
        mean.backward()
        learner.advance(learner.norm(), recipe, step)
        learner.forget_gradient()
        if args.device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return taken[WARM:], (time.process_time() - worked) / torch.get_num_threads() / args.steps


def main() -> None:
    """Prints a JSON line for each preset and kind of row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+", help="generators, such as pocket-images")
    parser.add_argument("--rows", type=int, help="rows of a step; the preset's, at most 64")
    parser.add_argument("--steps", type=int, default=10, help="steps that are counted")
    parser.add_argument("--checkpointing", default="none", choices=["none", "selective", "full"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default=AUTO, choices=[AUTO, *PRECISIONS])
    args = parser.parse_args()
    if args.precision == AUTO:
        args.precision = chosen_precision(matrix_rates(args.device))
    for name in args.presets:
        for row in measured(name, args):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
