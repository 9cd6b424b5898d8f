"""The judge: a small network that says what a clip shows. It never saw the models that it judges.

Trained on true renders of the world alone, by `python -m recast.evaluation.judge`. Its own accuracy on renders of
unseen seeds stands beside every figure that it gives: no more can be expected of a model.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from recast.errors import WeightsError
from recast.types import Frames
from recast.video.resize import resized
from recast.world.words import COLOURS, ENVIRONMENTS, LOOKS

SIDE = 128
"""Rows and columns that the judge looks at; other frames are resized to it."""
WEIGHTS = Path(str(files("recast"))) / "assets" / "judge" / "model.safetensors"

Pictures = Float[Tensor, "b 3 h w"]
Shares = Float[Tensor, "b 1 h w"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the judge sees in a clip: canonical words of the world, and where the subjects are.

    subject: one mask a frame, at the frames' own size.
    """

    environment: str
    look: str
    colour: str
    subject: Bool[Tensor, "t h w"]


@dataclass(frozen=True, eq=False)
class Seen:
    """Logits. environment, look: of the whole picture; subject: of a subject being there, at the pictures' size.

    features: what colours are read from, at a quarter of the size.
    """

    environment: Float[Tensor, "b environments"]
    look: Float[Tensor, "b looks"]
    subject: Shares
    features: Float[Tensor, "b c y x"]


class JudgeNetwork(nn.Module):
    """A convolutional pyramid with three heads, and a fourth that reads a colour under a mask. 0.2 M weights."""

    def __init__(self) -> None:
        super().__init__()
        # No normalisation at the largest size: there it would cost as much as all the rest.
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.ReLU())
        self.down = nn.ModuleList([_stage(16, 32), _stage(32, 48), _stage(48, 64)])
        self.lateral = nn.ModuleList([nn.Conv2d(64, 48, 1), nn.Conv2d(48, 32, 1), nn.Conv2d(32, 16, 1)])
        self.up = nn.ModuleList([_conv(48, 48), _conv(32, 32), nn.ReLU()])
        # Four answers for each place, the pixels that it stands for.
        self.subject = nn.Conv2d(16, 4, 3, padding=1)
        self.whole = nn.Sequential(nn.Linear(2 * (16 + 32 + 48 + 64), 96), nn.ReLU())
        self.environment, self.look = nn.Linear(96, len(ENVIRONMENTS)), nn.Linear(96, len(LOOKS))
        self.painted = nn.Sequential(nn.Linear(3 * (32 + 3), 64), nn.ReLU(), nn.Linear(64, len(COLOURS)))

    def forward(self, pictures: Pictures) -> Seen:
        """What is seen in pictures of -1..1, whose sides are multiples of 16."""
        levels = [self.stem(pictures)]
        for stage in self.down:
            levels.append(stage(levels[-1]))
        pooled = [statistic for level in levels for statistic in _statistics(level)]
        whole = self.whole(torch.cat(pooled, dim=1))
        x, rising = levels[-1], []
        for lateral, up, skip in zip(self.lateral, self.up, reversed(levels[:-1]), strict=True):
            x = up(F.interpolate(lateral(x), scale_factor=2.0) + skip)
            rising.append(x)
        subject = F.pixel_shuffle(self.subject(x), 2)
        small = F.avg_pool2d(pictures, 4)
        return Seen(self.environment(whole), self.look(whole), subject, torch.cat([rising[1], small], dim=1))

    def colour(self, seen: Seen, mask: Shares) -> Float[Tensor, "b colours"]:
        """Logits of the colour of what lies under a mask of 0..1, at the pictures' size."""
        share = F.adaptive_avg_pool2d(mask, (seen.features.shape[-2], seen.features.shape[-1]))
        inside, spread = _under(seen.features, share)
        outside, _ = _under(seen.features, 1 - share)
        return self.painted(torch.cat([inside, spread, outside], dim=1))


@dataclass(frozen=True, eq=False)
class Judge:
    """The trained network, ready to look at clips."""

    network: JudgeNetwork

    @classmethod
    def opened(cls, path: Path = WEIGHTS) -> "Judge":
        """The judge whose weights lie at `path`, the package's own if not said. Raises WeightsError."""
        network = JudgeNetwork()
        try:
            network.load_state_dict({name: weight.float() for name, weight in load_file(path).items()})
        except (OSError, RuntimeError, SafetensorError) as fault:
            said = str(fault).splitlines()[0]
            raise WeightsError(f"the judge cannot be read ({said}); install recast-video again; {path}") from fault
        return cls(network.eval())

    @torch.no_grad()
    def __call__(self, frames: Frames) -> Verdict:
        """One verdict for the clip: the frames' probabilities are multiplied. The colour is that of what it masks."""
        seen = self.network(resized(frames, (SIDE, SIDE)) / 127.5 - 1)
        share = seen.subject.sigmoid()
        colour = self.network.colour(seen, share)
        masks = F.interpolate(share, frames.shape[-2:], mode="bilinear")[:, 0] > 0.5
        return Verdict(
            _said(seen.environment, tuple(ENVIRONMENTS)),
            _said(seen.look, tuple(LOOKS)),
            _said(colour, tuple(COLOURS)),
            masks,
        )


def _said(logits: Float[Tensor, "t n"], names: tuple[str, ...]) -> str:
    return names[int(logits.log_softmax(dim=1).mean(dim=0).argmax())]


def _statistics(x: Float[Tensor, "b c y x"]) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=(2, 3))
    return mean, (x.square().mean(dim=(2, 3)) - mean.square()).clamp(min=1e-5).sqrt()


def _under(x: Float[Tensor, "b c y x"], share: Shares) -> tuple[Tensor, Tensor]:
    weight = share / (share.sum(dim=(2, 3), keepdim=True) + 1e-3)
    mean = (x * weight).sum(dim=(2, 3), keepdim=True)
    spread = ((x - mean).square() * weight).sum(dim=(2, 3))
    return mean[..., 0, 0], (spread + 1e-5).sqrt()


def _conv(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.GroupNorm(8, after), nn.ReLU()
    )


def _stage(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_conv(before, after, stride=2), _conv(after, after))


if __name__ == "__main__":
    from recast.evaluation.schooling import main

    main()
