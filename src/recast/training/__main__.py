"""`python -m recast.training STAGE --run DIR`: trains a stage of `pocket`, continuing where it stopped."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from recast.training import pocket, pool

STAGES: dict[str, Callable[[Path], object]] = {
    "pool": lambda run: pool.render(run / "pool"),
    "vae": pocket.train_vae,
    "clip": pocket.train_clip,
    "depth": pocket.train_depth,
    "image-cache": lambda run: pocket.fill_caches(run, "image"),
    "embeddings": pocket.embed_caches,
    "prior": pocket.train_prior,
    "images": pocket.train_images,
    "video-cache": lambda run: pocket.fill_caches(run, "video"),
    "video": pocket.train_video,
    "decoder": pocket.train_decoder,
    "export": pocket.export,
}
"""In the order in which they need each other; vae, clip and depth may run at once."""


def main() -> None:
    """Runs one stage, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m recast.training", description=__doc__)
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument("--run", type=Path, default=Path("runs"), help="folder of the pool, caches and checkpoints")
    parser.add_argument("--threads", type=int, default=2, help="processor threads")
    said = parser.parse_args()
    torch.set_num_threads(said.threads)
    for name in STAGES if said.stage == "all" else [said.stage]:
        STAGES[name](said.run)


if __name__ == "__main__":
    main()
