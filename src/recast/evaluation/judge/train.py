"""Trains the judge on rendered worlds, augmented to resemble generated pictures.

There are two stages: the first on renders that show their subjects, the second also on renders that show little or
nothing of them. The package's weights are the second stage's; it started from the weights of the release before, which
were trained on the first stage's data (`--initial`).
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from recast.engine.config import BatchShard, Loss, TrainConfig
from recast.engine.loop import fit
from recast.evaluation.judge.augment import AugmentedImage, augment
from recast.evaluation.judge.dataset import UNTOLD, JudgeDataset, outlined, spoiled, written
from recast.evaluation.judge.decoded import decoded_by
from recast.evaluation.judge.judge import WEIGHTS
from recast.evaluation.metrics.accuracy import deepest
from recast.networks.judge import JudgeNetwork, JudgeOutput, Pictures, Shares, Spots, spotted

SMALLEST_SUBJECT = 40
"""Pixels that a subject must cover for its colour to be asked."""
OFF = 0.12
"""Share of points that lie on no subject, where there is no outline to be seen."""
DEEP = 0.5
"""Share of the other points that lie about as deep inside as can be; the rest lie anywhere inside."""
SLIP = 2.5
"""Standard deviation, in pixels, by which a deep point misses its place."""
BATCH = 32
RECIPE = TrainConfig(steps=11_000, rate=3e-3, warmup=200, decay=0.02, ema=0.998, keep_every=200)
SECOND = replace(RECIPE, steps=3000, rate=1e-3, warmup=100)
"""Of the stage that has spoiled pictures too."""
COUNT, SPOILED = 26_000, 9_000
"""Numbers of training pictures, and of spoiled ones besides; the second stage draws from all of them alike."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A batch with its truth. spots: point at one subject; subject: where that is, 0 or 1; colour: that one's."""

    pictures: Pictures
    spots: Spots
    subject: Shares
    environment: Int[Tensor, " b"]
    look: Int[Tensor, " b"]
    colour: Int[Tensor, " b"]


def judge_loss(lessons: Sequence[JudgeDataset], seed: int = 0) -> Loss[JudgeNetwork]:
    """The judge's loss: cross-entropy for words, and for outlines the sum with the overlap (Dice) loss."""

    def loss(network: JudgeNetwork, share: BatchShard) -> Float[Tensor, ""]:
        rngs = [np.random.default_rng([seed, 29, share.step, row]) for row in share.rows(BATCH)]
        return torch.stack(list(graded(network, sheet(lessons, rngs)))).sum()

    return loss


def graded(network: JudgeNetwork, sheet: Sheet) -> Iterator[Float[Tensor, ""]]:
    """The losses of one sheet: of environment, look, colour and outline."""
    seen: JudgeOutput = network(sheet.pictures, sheet.spots)
    yield _unlike(seen.environment, sheet.environment)
    yield _unlike(seen.look, sheet.look)
    yield _unlike(network.colour(seen, sheet.subject), sheet.colour)
    logits = seen.subject.float()
    yield F.binary_cross_entropy_with_logits(logits, sheet.subject) + _dice(logits, sheet.subject)


def sheet(lessons: Sequence[JudgeDataset], rngs: Sequence[np.random.Generator]) -> Sheet:
    """One training picture for each random generator, augmented, perhaps mirrored."""
    rows = [_row(lessons[int(rng.integers(len(lessons)))], rng) for rng in rngs]
    pictures, masks, points, words = zip(*rows, strict=True)
    environment, look, colour = torch.tensor(words).unbind(dim=1)
    subject = torch.from_numpy(np.stack(masks))[:, None].float()
    shown = rearrange(torch.from_numpy(np.stack(pictures)), "b h w c -> b c h w")
    return Sheet(
        pictures=shown.contiguous(memory_format=torch.channels_last),
        spots=spotted(torch.tensor(points), subject.shape[-1]),
        subject=subject,
        environment=environment,
        look=look,
        colour=colour,
    )


def _row(
    lessons: JudgeDataset, rng: np.random.Generator
) -> tuple[AugmentedImage, Bool[np.ndarray, "s s"], tuple[float, float], tuple[int, int, int]]:
    """A picture, the mask of what it shows of what is pointed at, the point, and the words' places."""
    at = int(rng.integers(len(lessons)))
    mirrored = slice(None, None, int(rng.choice([-1, 1])))
    picture, owners = (np.ascontiguousarray(each[at][:, mirrored]) for each in (lessons.pictures, lessons.masks))
    number = _pointed(owners, rng)
    mask = owners == number
    point = _point(mask, rng)
    is_shown = number and mask.sum() >= SMALLEST_SUBJECT
    subject = outlined(mask & (number > 0), float(lessons.softness[at]))
    colour = int(lessons.colours[at, number - 1]) if is_shown else UNTOLD
    words = (int(lessons.environment[at]), int(lessons.look[at]), colour)
    return augment(picture, rng), subject, point, words


def _pointed(owners: UInt8[np.ndarray, "s s"], rng: np.random.Generator) -> int:
    """The number of a subject that shows; 0 where none does, and sometimes where some do."""
    shown = np.flatnonzero(np.bincount(owners.ravel()))
    subjects = shown[shown > 0]
    nobody = not len(subjects) or (len(subjects) < len(shown) and rng.random() < OFF)
    return 0 if nobody else int(rng.choice(subjects))


def _point(mask: Bool[np.ndarray, "s s"], rng: np.random.Generator) -> tuple[float, float]:
    """Row and column, in pixels, of a place in the mask: deep inside, though not exactly, or anywhere."""
    if rng.random() < DEEP:
        row, column = np.array(deepest(mask)) + rng.normal(0, SLIP, 2)
        if mask[int(np.clip(row, 0, len(mask) - 1)), int(np.clip(column, 0, len(mask) - 1))]:
            return float(row), float(column)
    inside = np.argwhere(mask)
    row, column = inside[int(rng.integers(len(inside)))] + 0.5
    return float(row), float(column)


def _unlike(logits: Float[Tensor, "b n"], truth: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    # Summed and divided by all rows: a mean over those that are asked would depend on how a batch is divided.
    return F.cross_entropy(logits.float(), truth, ignore_index=UNTOLD, reduction="sum") / len(logits)


def _dice(logits: Shares, truth: Shares) -> Float[Tensor, ""]:
    share = logits.sigmoid()
    both, either = (share * truth).sum((1, 2, 3)), (share + truth).sum((1, 2, 3))
    return 1 - ((2 * both + 1) / (either + 1)).mean()


def main() -> None:
    """Renders the pictures, trains the judge on them and writes it as fp16; a stopped run goes on where it was."""
    args = _flags().parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    decode = decoded_by(args.model)
    lessons = written(args.run / "lessons", args.lessons, decode)
    known = {"lessons": args.lessons, "batch": BATCH, "seed": args.seed}
    if args.initial:
        network = initial_judge(args.seed)
        kept = {name: weight.float() for name, weight in load_file(args.initial).items()}
        network.load_state_dict(network.state_dict() | kept)  # those before had no `centre`
    else:
        recipe = replace(RECIPE, steps=args.steps)
        network = fit(
            initial_judge(args.seed), judge_loss(lessons, args.seed), recipe, args.run / "first", configuration=known
        )
    lessons += written(args.run / "lessons", args.spoiled, decode, spoiled)
    known |= {"spoiled": args.spoiled, "initial": _digest(network)}
    # A seed of its own, or it would see the first stage's draws again.
    loss, recipe = judge_loss(lessons, args.seed + 1), replace(SECOND, steps=args.second_steps)
    network = fit(network, loss, recipe, args.run / "second", configuration=known)
    network.centre.copy_(centre(network, lessons[0]))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.half().contiguous() for name, weight in network.state_dict().items()}, args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e3:.0f} kB")


def _flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m recast.evaluation.judge.train", description="Train the judge on worlds."
    )
    parser.add_argument("--run", type=Path, default=Path("runs/judge"), help="where lessons, checkpoints and log go")
    parser.add_argument("--lessons", type=int, default=COUNT, help="pictures to render")
    parser.add_argument("--spoiled", type=int, default=SPOILED, help="pictures besides, with little or nothing to see")
    parser.add_argument("--steps", type=int, default=RECIPE.steps, help=f"batches of {BATCH} pictures, first stage")
    parser.add_argument("--second-steps", type=int, default=SECOND.steps, help="batches with spoiled pictures too")
    parser.add_argument(
        "--initial", type=Path, help="weights that the second stage begins from, instead of a first one"
    )
    parser.add_argument("--model", default="pocket", help="whose autoencoder half of the pictures go through")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS)
    return parser


def _digest(network: JudgeNetwork) -> str:
    return sha256(b"".join(weight.numpy().tobytes() for weight in network.state_dict().values())).hexdigest()[:16]


@torch.no_grad()
def centre(network: JudgeNetwork, lessons: JudgeDataset) -> Float[Tensor, " d"]:
    """The mean of what frames are encoded as."""
    shown = rearrange(torch.from_numpy(np.array(lessons.pictures)), "b h w c -> b c h w") / 127.5 - 1
    return torch.cat([network.encoded(group) for group in shown.split(BATCH)]).mean(dim=0)


def initial_judge(seed: int) -> JudgeNetwork:
    """A judge that has seen nothing yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = JudgeNetwork()
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    return network


if __name__ == "__main__":
    main()
