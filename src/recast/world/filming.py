"""What a camera makes of a scene that a renderer does not: focus, exposure, white balance, noise and compression."""

from dataclasses import dataclass, replace
from io import BytesIO

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from recast.world.footage import Footage

Frames = UInt8[np.ndarray, "t h w 3"]
Light = Float32[np.ndarray, "t h w 3"]
GAMMA = 2.2
"""Of the transfer between light and what is stored; sRGB's straight foot is left out."""
GREY = 0.18
"""The mean light that a meter exposes for."""
BLURS = (0.0, 0.004, 0.009, 0.018)
"""Blurs between which each pixel is interpolated, as standard deviations in shares of the short side."""


STREAM = 24
"""Beside a scene's seed: how it is filmed is drawn apart from what it is."""


@dataclass(frozen=True, kw_only=True)
class Filming:
    """How a clip is filmed.

    aperture: blur of what is out of focus, as a share of the short side for a difference of 1/m; 0 has all in focus.
    metered: how much of the way to a mean light of GREY exposure goes, 0..1, at most two stops. stops: of exposure
    beside, at the first and at the last frame. warmth: stops of red, and of blue below it. noise: standard deviation
    of the sensor's noise at full light, which is that of photons. quality: of JPEG, 1..100; 100 is not compressed.
    """

    aperture: float = 0.0
    metered: float = 0.0
    stops: tuple[float, float] = (0.0, 0.0)
    warmth: float = 0.0
    noise: float = 0.0
    quality: int = 100

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Filming":
        """As amateurs' clips are: half of them with a shallow focus, most compressed."""
        first = float(rng.normal(0, 0.3))
        return cls(
            aperture=float(rng.uniform(0.02, 0.15)) * bool(rng.random() < 0.5),
            metered=float(rng.uniform(0.3, 0.9)),
            stops=(first, first + float(rng.normal(0, 0.15))),
            warmth=float(rng.normal(0, 0.1)),
            noise=float(rng.uniform(0, 0.02)),
            quality=int(rng.integers(30, 96)),
        )


def filmed(footage: Footage, filming: Filming, rng: np.random.Generator) -> Footage:
    """The same clip, filmed; depth, masks and flow stay those of the scene. rng: draws the noise.

    Only a photograph has a focus: drawings are filmed as they lie.
    """
    light = (footage.frames.astype(np.float32) / 255) ** np.float32(GAMMA)
    if filming.aperture and footage.scene.look == "plain":
        light = _focused(light, footage, filming.aperture)
    light = light * _gains(light, filming)
    if filming.noise:
        spread = filming.noise * np.sqrt(light.clip(0, 1))
        light = light + spread * rng.standard_normal(light.shape, dtype=np.float32)
    frames = (255 * light.clip(0, 1) ** np.float32(1 / GAMMA)).round().astype(np.uint8)
    return replace(footage, frames=frames if filming.quality == 100 else _compressed(frames, filming.quality))


def as_filmed(footage: Footage, share: float = 1.0) -> Footage:
    """A share of all clips filmed, as `Filming.drawn` draws it; the scene's seed says which and how."""
    rng = np.random.default_rng([footage.scene.seed, STREAM])
    return filmed(footage, Filming.drawn(rng), rng) if rng.random() < share else footage


def _focused(light: Light, footage: Footage, aperture: float) -> Light:
    """Everything nearer or farther than the first subject is blurred; where none is seen, than the middle."""
    near, side = footage.inverse_depth, min(light.shape[1:3])
    focus = np.median(near[footage.masks == 1] if (footage.masks == 1).any() else near)
    steps = np.interp(aperture * np.abs(near - focus), BLURS, range(len(BLURS))).astype(np.float32)
    made = np.zeros_like(light)
    for number, blur in enumerate(BLURS):
        share = (1 - np.abs(steps - number)).clip(0, 1)[..., None]
        made += share * np.stack([cv2.GaussianBlur(one, (0, 0), blur * side) if blur else one for one in light])
    return made


def _gains(light: Light, filming: Filming) -> Float32[np.ndarray, "t 1 1 3"]:
    """What each frame and channel is multiplied by. The meter sees the whole clip, so that nothing pumps."""
    metered = filming.metered * float(np.clip(np.log2(GREY / max(float(light.mean()), 1e-6)), -2, 2))
    stops = np.linspace(*filming.stops, len(light)) + metered
    channels = np.array([filming.warmth, 0, -filming.warmth])
    return (2 ** (stops[:, None, None, None] + channels)).astype(np.float32)


def _compressed(frames: Frames, quality: int) -> Frames:
    """Frame by frame: x264's blocks would not be the same on every processor."""
    return np.stack([through_jpeg(frame, quality) for frame in frames])


def through_jpeg(picture: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """What JPEG leaves of a picture."""
    packed = BytesIO()
    Image.fromarray(picture).save(packed, "JPEG", quality=quality)
    return np.asarray(Image.open(packed))
