"""How the judge is trained: on worlds alone, worn as generated pictures are worn."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from recast.evaluation.judge import WEIGHTS, JudgeNetwork, Pictures, Seen, Shares
from recast.training.loop import Loss, Recipe, Share, fit
from recast.training.pool import Pool, opened
from recast.world.captions import NAMED_BELOW, UNLIT
from recast.world.words import COLOURS, ENVIRONMENTS, LOOKS

POOLS = ("square", "wide", "tall")
UNTOLD = -100
"""The label of what a picture does not show; cross-entropy passes over it."""
SMALLEST_SUBJECT = 40
"""Pixels that a subject must cover for its colour to be asked."""
BATCH = 32
RECIPE = Recipe(steps=3000, rate=4e-3, warmup=150, decay=0.02, ema=0.995, keep_every=250)

Picture = UInt8[np.ndarray, "s s 3"]
Wear = Callable[[Pictures], Pictures]


@dataclass(frozen=True, eq=False)
class Lesson:
    """A batch with its truth. subject: any subject, 0 or 1; one: a single subject, whose colour is `colour`."""

    pictures: Pictures
    subject: Shares
    one: Shares
    environment: Int[Tensor, " b"]
    look: Int[Tensor, " b"]
    colour: Int[Tensor, " b"]


def schooled(pools: Sequence[Pool], seed: int = 0, wear: Wear = lambda pictures: pictures) -> Loss[JudgeNetwork]:
    """The judge's loss: cross-entropy for words, and for outlines the sum with the overlap (Dice) loss.

    wear: one more way to wear pictures, for an eighth of each batch.
    """
    clips = [(pool, clip) for pool in pools for clip, scene in enumerate(pool.scenes) if _is_clear(scene)]

    def loss(network: JudgeNetwork, share: Share) -> Float[Tensor, ""]:
        rng = np.random.default_rng([seed, 29, share.undivided()])
        return torch.stack(list(graded(network, lesson(clips, rng, wear)))).sum()

    return loss


def graded(network: JudgeNetwork, lesson: Lesson) -> Iterator[Float[Tensor, ""]]:
    """The losses of one lesson: of environment, look, colour and outline."""
    seen: Seen = network(lesson.pictures)
    yield F.cross_entropy(seen.environment.float(), lesson.environment)
    yield F.cross_entropy(seen.look.float(), lesson.look)
    yield F.cross_entropy(network.colour(seen, lesson.one).float(), lesson.colour)
    logits = seen.subject.float()
    yield F.binary_cross_entropy_with_logits(logits, lesson.subject) + _dice(logits, lesson.subject)


def lesson(clips: Sequence[tuple[Pool, int]], rng: np.random.Generator, wear: Wear) -> Lesson:
    """A batch: a square of one frame of each of some clips, worn."""
    drawn = [clips[int(i)] for i in rng.integers(len(clips), size=BATCH)]
    shown, masks = zip(*(_square(pool, clip, rng) for pool, clip in drawn), strict=True)
    scenes = [pool.scenes[clip] for pool, clip in drawn]
    ones = [int(rng.integers(len(scene["subjects"]))) for scene in scenes]
    owners = np.stack(masks)
    one = owners == np.array(ones)[:, None, None] + 1
    return Lesson(
        pictures=_worn(np.stack(shown), rng, wear).contiguous(memory_format=torch.channels_last),
        subject=torch.from_numpy(owners > 0)[:, None].float(),
        one=torch.from_numpy(one)[:, None].float(),
        environment=torch.tensor([tuple(ENVIRONMENTS).index(scene["environment"]) for scene in scenes]),
        look=torch.tensor([tuple(LOOKS).index(scene["look"]) for scene in scenes]),
        colour=torch.tensor([_colour(*each) for each in zip(scenes, ones, one.sum((1, 2)).tolist(), strict=True)]),
    )


def _is_clear(scene: dict) -> bool:
    # What edits are asked for: worlds by day, whose surfaces have the colours that words name.
    return scene["time"] == "day" and scene["textured"] < NAMED_BELOW


def _square(pool: Pool, clip: int, rng: np.random.Generator) -> tuple[Picture, UInt8[np.ndarray, "s s"]]:
    """A frame of the clip and its masks, cut to a square somewhere, perhaps mirrored."""
    at, (height, width) = int(rng.integers(pool.frames.shape[1])), pool.frames.shape[2:4]
    side = min(height, width)
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    window = (slice(top, top + side), slice(left, left + side))
    mirrored = slice(None, None, int(rng.choice([-1, 1])))
    frame, owners = np.asarray(pool.frames[clip, at]), np.asarray(pool.masks[clip, at])
    return frame[window][:, mirrored], owners[window][:, mirrored]


def _colour(scene: dict, number: int, pixels: int) -> int:
    colour, look = scene["subjects"][number]["colour"], scene["look"]
    shows = look != "pencil sketch" and not (look == "neon" and colour in UNLIT)
    return tuple(COLOURS).index(colour) if shows and pixels >= SMALLEST_SUBJECT else UNTOLD


def _dice(logits: Shares, truth: Shares) -> Float[Tensor, ""]:
    share = logits.sigmoid()
    both, either = (share * truth).sum((1, 2, 3)), (share + truth).sum((1, 2, 3))
    return 1 - ((2 * both + 1) / (either + 1)).mean()


def _worn(shown: UInt8[np.ndarray, "b s s 3"], rng: np.random.Generator, wear: Wear) -> Pictures:
    """Pictures of -1..1, worn as compression, small networks and other exposures would wear them."""
    pictures = rearrange(torch.from_numpy(shown), "b h w c -> b c h w").float() / 127.5 - 1
    ways = (_softened, _shrunk, _shrunk, _compressed, lambda group, _: wear(group))
    groups = pictures.split(BATCH // 8)
    pictures = torch.cat([ways[i](group, rng) if i < len(ways) else group for i, group in enumerate(groups)])
    b = len(pictures)

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))

    pictures = pictures * drawn(0.9, 1.1, b, 1, 1, 1) * drawn(0.96, 1.04, b, 3, 1, 1) + drawn(-0.1, 0.1, b, 1, 1, 1)
    # Few patterns of grain serve all: drawing it would take as long as all the rest.
    grain = torch.from_numpy(rng.standard_normal((8, *pictures.shape[1:]), dtype=np.float32))[rng.integers(8, size=b)]
    return (pictures + drawn(-0.06, 0.08, b, 1, 1, 1).clamp(min=0) * grain).clamp(-1, 1)


def _compressed(group: Pictures, rng: np.random.Generator) -> Pictures:
    # As video and JPEG do: cosine coefficients of 8x8 blocks, rounded, the more the coarser.
    at = torch.arange(8.0)
    cosines = torch.cos((2 * at + 1) * at[:, None] * torch.pi / 16) * torch.where(at == 0, 0.125, 0.25)[:, None].sqrt()
    blocks = rearrange(group, "b c (r h) (k w) -> b c r k h w", h=8, w=8)
    step = rng.uniform(0.06, 0.5)
    rounded = (cosines @ blocks @ cosines.T / step).round() * step
    return rearrange(cosines.T @ rounded @ cosines, "b c r k h w -> b c (r h) (k w)")


def _softened(group: Pictures, rng: np.random.Generator) -> Pictures:
    sigma = rng.uniform(0.5, 1.5)
    taps = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).expand(3, 1, 1, 9)
    across = F.conv2d(F.pad(group, (4, 4, 4, 4), mode="reflect"), taps, groups=3)
    return F.conv2d(across, taps.transpose(2, 3), groups=3)


def _shrunk(group: Pictures, rng: np.random.Generator) -> Pictures:
    small = F.interpolate(group, scale_factor=1 / rng.uniform(1.3, 3.0), mode="bilinear", antialias=True)
    return F.interpolate(small, group.shape[-2:], mode="bicubic")


def _round_trips(model: str, rng: np.random.Generator) -> Wear:
    """Through a model's autoencoder and back, a little noise on the latents: how generated pictures are worn."""
    from recast.loading import Model

    backbone = Model.loaded(model, device="cpu", dtype="float32").backbone

    def worn(pictures: Pictures) -> Pictures:
        latents = backbone.encode(((pictures + 1) * 127.5).clamp(0, 255).to(torch.uint8))
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        return backbone.decode(latents + rng.uniform(0, 0.3) * noise) / 127.5 - 1

    return worn


def main() -> None:
    """Trains the judge on the pool and writes it as fp16 safetensors; a stopped run goes on where it was."""
    parser = argparse.ArgumentParser(prog="python -m recast.evaluation.judge", description="Train the judge on worlds.")
    parser.add_argument("--pool", type=Path, default=Path("runs/pool"), help="a folder of rendered worlds")
    parser.add_argument("--run", type=Path, default=Path("runs/judge"), help="where checkpoints and the log go")
    parser.add_argument("--steps", type=int, default=RECIPE.steps, help=f"batches of {BATCH} pictures")
    parser.add_argument("--model", help="wear an eighth of the pictures by this model's autoencoder too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS)
    said = parser.parse_args()
    wear = {} if said.model is None else {"wear": _round_trips(said.model, np.random.default_rng([said.seed, 31]))}
    loss = schooled(list(opened(said.pool, POOLS).values()), said.seed, **wear)
    network = fit(begun(said.seed), loss, replace(RECIPE, steps=said.steps), said.run)
    said.output.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.half().contiguous() for name, weight in network.state_dict().items()}, said.output)
    print(f"{said.output}: {said.output.stat().st_size / 1e3:.0f} kB")


def begun(seed: int) -> JudgeNetwork:
    """A judge that has seen nothing yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = JudgeNetwork()
    nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
    return network
