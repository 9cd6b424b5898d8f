"""What an edit is becoming while it is denoised: a picture of one frame.

By a tiny decoder where there is one, else by a linear map from latents to colours.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from recast.backbones.backbone import Backbone
from recast.backbones.taesd import TinyDecoder
from recast.denoising import DenoiseInputs, StepHook, unchanged
from recast.types import Latents

Look = Callable[[DenoiseInputs], StepHook]
"""Makes what looks on at each step of one walk."""

EVERY_SECONDS = 0.5
PAUSE = 9
"""A look is followed by at least so many times its own duration without one: it takes a tenth of an edit at most."""
APART = 0.8
"""Levels whose ratio is more are too near each other to tell what both lead to."""
SIDE = 256
"""The picture's short side in pixels, at least."""


def no_look(_inputs: DenoiseInputs) -> StepHook:
    """The look that sees nothing."""
    return unchanged


@dataclass(frozen=True, eq=False)
class Glimpse:
    """Writes a JPEG to `path` as a walk goes on, at most every half second. It changes nothing and draws no noise.

    decoder: makes the picture, where there is one.
    """

    path: Path
    backbone: Backbone
    decoder: TinyDecoder | None = None

    def __call__(self, inputs: DenoiseInputs) -> StepHook:
        """Looks at the middle frame of one walk."""
        colours = colours_of(inputs, self.backbone) if self.decoder is None else _decoded_by(self.decoder)
        seen: tuple[Latents, float] | None = None
        due = 0.0

        def look(x: Latents, sigma: float, /) -> Latents:
            nonlocal seen, due
            middle = x[len(x) // 2][None].float()
            middle = middle.cpu() if self.decoder is None else middle
            clean = middle if seen is None else clean_between(*seen, middle, sigma)
            if seen is not None and time.monotonic() >= due:
                before = time.monotonic()
                _save(colours(clean), self.path)
                ended = time.monotonic()
                due = ended + max(EVERY_SECONDS, PAUSE * (ended - before))
            if seen is None or sigma <= APART * seen[1]:
                seen = middle, sigma
            return x

        return look


def clean_between(before: Latents, high: float, after: Latents, low: float) -> Latents:
    """The clean latents that a straight walk from `before` at level `high` to `after` at level `low` leads to."""
    ratio = low / high if high else 1.0
    return (after - ratio * before) / (1 - ratio) if ratio <= APART else after


def _decoded_by(decoder: TinyDecoder) -> Callable[[Latents], UInt8[Tensor, "3 h w"]]:
    def colours(x: Latents) -> UInt8[Tensor, "3 h w"]:
        return decoder.decode(x)[0]

    return colours


def colours_of(inputs: DenoiseInputs, backbone: Backbone) -> Callable[[Latents], UInt8[Tensor, "3 y x"]]:
    """A map from a frame's latents to colours: the linear one that fits the clip's own first frame best."""
    frames = inputs.clip.frames[: inputs.temporal_stride]
    latents = backbone.encode(frames)[:1].float().cpu()
    pixels = F.interpolate(frames[:1].float().cpu(), latents.shape[-2:], mode="area")
    fit = torch.linalg.lstsq(_rows(latents), rearrange(pixels, "1 c y x -> (y x) c"), driver="gelsd").solution

    def colours(x: Latents) -> UInt8[Tensor, "3 y x"]:
        shown = (_rows(x) @ fit).clamp(0, 255).round().to(torch.uint8)
        return rearrange(shown, "(y x) c -> c y x", y=x.shape[-2])

    return colours


def _rows(latents: Latents) -> Float[Tensor, "n d"]:
    rows = rearrange(latents, "1 c y x -> (y x) c")
    return torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)


def _save(picture: UInt8[Tensor, "3 y x"], path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(rearrange(picture, "c y x -> y x c").numpy())
    scale = max(1, -(-SIDE // min(image.size)))
    part = path.with_name(f".{path.name}")
    image.resize((scale * image.width, scale * image.height), Image.Resampling.BICUBIC).save(part, "JPEG", quality=80)
    part.replace(path)
