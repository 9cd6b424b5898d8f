"""Looks: a shaded picture as a photograph, a sketch, a painting, a clay scene, a cartoon or neon tubes.

Grain and hatching are fixed to the screen, prints and patterns to surfaces, so that nothing flickers.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from recast.world.light import HOURS
from recast.world.materials import PAINTS
from recast.world.palettes import PALETTES
from recast.world.shade import Picture, Planes
from recast.world.tiles import SIDE, tile, worn

Frames = UInt8[np.ndarray, "t h w 3"]
Plane = Float32[np.ndarray, "t h w"]


def plain(picture: Picture) -> Frames:
    """A photograph."""
    frames = _softened(_merged(_fallen(picture, picture.lit)), picture.lines)
    return _exposed(frames, picture.scene.textured, np.random.default_rng([picture.scene.seed, 5]))


def pencil_sketch(picture: Picture) -> Frames:
    """Graphite on white paper: soft outlines, and shade under broad hatching that crosses where it is dark."""
    r, g, b = _fallen(picture, picture.lit)
    grey = (0.3 * r + 0.59 * g + 0.11 * b).clip(0, 1)
    dark = (1.05 - 1.15 * grey**0.7).clip(0, 1) * np.where(picture.is_sky, np.float32(0.4), np.float32(0.9))
    # Strokes four pixels apart would be lost in an autoencoder of eight: they are broad, and never fully black.
    first, second = _sheet("hatch", picture, 2), _sheet("cross hatch", picture, 2)
    graphite = dark * (0.52 + 0.18 * first) + 0.3 * (dark - 0.55).clip(0) * second
    outline = _blurred(_thick(picture.lines, picture.scale * 1.3), 0.7 * picture.scale) * np.float32(0.95)
    value = (1 - _blurred(graphite, 0.6 * picture.scale).clip(0, 1)) * (1 - outline.clip(0, 0.9))
    value *= 0.975 + 0.012 * _sheet("paper", picture, 2)
    return _merged((value * 0.985, value * 0.98, value * 0.965))


def watercolor(picture: Picture) -> Frames:
    """Pale washes with darker rims, on grained paper that stays white at its edge."""
    washed = _merged(_fallen(picture, picture.lit))
    wash, grain = _sheet("fractal", picture, 2), _sheet("paper", picture, 2)
    height, width = wash.shape
    border = np.minimum(np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width))
    border = np.minimum(border, border[::-1, ::-1]).astype(np.float32)
    sheet = ((border - 0.035 + 0.012 * wash) * 40).clip(0, 1)
    paint = sheet * (0.8 + 0.1 * wash + 0.05 * grain)
    made = np.empty_like(washed)
    for index, frame in enumerate(washed):
        soft = cv2.GaussianBlur(cv2.medianBlur(frame, 5), (0, 0), 0.7 * picture.scale).astype(np.float32)
        rim = cv2.GaussianBlur(picture.lines[index], (0, 0), 0.8 * picture.scale) * sheet
        cover = 0.84 * (1 - soft / 255) * paint[..., None] * (1 + 0.6 * rim[..., None]) + 0.06 * rim[..., None]
        made[index] = (np.array([252, 250, 243], np.float32) * (1 - cover)).clip(0, 255)
    return made


def claymation(picture: Picture) -> Frames:
    """Matte saturated clay under a soft lamp, with rounded edges and the prints of fingers."""
    along, up = picture.surface
    size = max(picture.scene.reach / 7, 0.25)
    prints = worn("prints", along, up, 1.3 * size) * 0.06 + worn("clouds", along, up, 4.0 * size) * 0.06
    rim = _blurred(picture.lines, 2.0 * picture.scale)
    light = (0.5 + 0.72 * picture.light / HOURS[picture.scene.time].brightness) * (1 - 0.7 * rim) + prints
    light[picture.is_sky] = 1 + 1.4 * prints[picture.is_sky]
    tint = _tinted(picture, {"day": (1, 0.98, 0.94), "sunset": (1.05, 0.78, 0.58), "night": (0.38, 0.42, 0.62)})
    clay = tuple(c * t * light for c, t in zip(_saturated(_base(picture), 1.4), tint, strict=True))
    frames = _merged(_fallen(picture, _veiled(picture, clay)))
    return _blurred_frames(frames, 0.7 * picture.scale)


def flat_cartoon(picture: Picture) -> Frames:
    """Flat bright colours in two tones, inside black outlines."""
    light = picture.light / HOURS[picture.scene.time].brightness
    tone = np.where(light > 0.62, np.float32(1.08), np.where(light > 0.36, np.float32(0.86), np.float32(0.66)))
    tone[picture.is_sky] = 1
    tint = _tinted(picture, {"day": (1, 1, 1), "sunset": (1.05, 0.8, 0.62), "night": (0.42, 0.48, 0.78)})
    flat = tuple(c * tone * t for c, t in zip(_saturated(_base(picture, steps=9), 1.3), tint, strict=True))
    ink = 1 - _thick(picture.lines, picture.scale * 1.3)
    frames = _merged(tuple(c * ink for c in _fallen(picture, _veiled(picture, flat))))
    return _blurred_frames(frames, 0.7 * picture.scale)


def neon(picture: Picture) -> Frames:
    """Glowing tubes along every outline, in the dark."""
    scene = picture.scene
    tubes = (
        np.array([PALETTES[scene.environment].accent, *(PAINTS[s.colour] for s in scene.subjects)], np.float32) / 255
    )
    tubes = tubes / tubes.max(1, keepdims=True).clip(0.35)
    weight = np.array([0.7] + [1.0] * len(scene.subjects), np.float32)
    made = np.empty((*picture.lines.shape, 3), np.uint8)
    dim = {"day": 0.16, "sunset": 0.12, "night": 0.06}[scene.time]
    thick = _blurred(_thick(picture.lines, picture.scale * 1.3), 0.8 * picture.scale) * np.float32(1.25)
    for index in range(len(made)):
        # The line belongs to the nearer side, which may be the neighbour.
        owner = cv2.dilate(picture.masks[index], np.ones((3, 3), np.uint8))
        glow = tubes[owner] * (thick[index] * weight[owner])[..., None]
        wide = cv2.GaussianBlur(glow, (0, 0), 2.2 * picture.scale) + cv2.GaussianBlur(glow, (0, 0), 6 * picture.scale)
        ground = np.stack([c[index] for c in picture.lit], -1) * np.float32(dim) + np.array(
            [0.03, 0.01, 0.07], np.float32
        )
        inner = (
            tubes[picture.masks[index]] * ((picture.masks[index] > 0) * 0.16 * (0.4 + picture.light[index]))[..., None]
        )
        total = ground + inner + 0.75 * wide + 0.9 * glow + 0.12 * (thick[index] > 0.6)[..., None]
        if picture.particles is not None:
            total = total + 0.5 * picture.particles[index][..., None] * tubes[0]
        made[index] = (total.clip(0, 1) * 255).astype(np.uint8)
    return made


LOOKS: dict[str, Callable[[Picture], Frames]] = {
    "plain": plain,
    "pencil sketch": pencil_sketch,
    "watercolor": watercolor,
    "claymation": claymation,
    "flat cartoon": flat_cartoon,
    "neon": neon,
}


def _merged(planes: Planes) -> Frames:
    out = np.empty((*planes[0].shape, 3), np.uint8)
    for c, plane in enumerate(planes):
        out[..., c] = (plane * np.float32(255)).clip(0, 255)
    return out


def _fallen(picture: Picture, planes: Planes) -> Planes:
    """Composites snowflakes and raindrops over the picture."""
    if picture.particles is None:
        return planes
    bright = {"day": 1.0, "sunset": 0.85, "night": 0.55}[picture.scene.time]
    return tuple(c + picture.particles * (np.float32(bright) - c) for c in planes)


def _saturated(planes: Planes, amount: float) -> Planes:
    grey = (planes[0] + planes[1] + planes[2]) / 3
    return tuple((grey + np.float32(amount) * (c - grey)).clip(0, 1) for c in planes)


def _base(picture: Picture, steps: int = 0) -> Planes:
    """Albedo of surfaces, and the lit sky, quantised to `steps` levels of brightness unless that is 0."""
    sky = picture.lit
    if steps:
        grey = sum(sky) / 3 + np.float32(1e-3)
        step = np.round(grey * steps) / (grey * np.float32(steps))
        sky = tuple(c * step for c in sky)
    return tuple(np.where(picture.is_sky, s, a) for s, a in zip(sky, picture.albedo, strict=True))


def _tinted(picture: Picture, hours: dict[str, tuple[float, float, float]]) -> Planes:
    """Tints everything but the sky, whose colour already depends on the time of day."""
    return tuple(np.where(picture.is_sky, np.float32(1), np.float32(c)) for c in hours[picture.scene.time])


def _veiled(picture: Picture, planes: Planes) -> Planes:
    """Adds half of a photograph's fog, for looks without light."""
    if picture.scene.weather != "fog":
        return planes
    return tuple((c + s) / 2 for c, s in zip(planes, picture.lit, strict=True))


def _sheet(name: str, picture: Picture, coarse: int) -> Float32[np.ndarray, "h w"]:
    """A tile laid on the paper; on large frames its grain is coarser, though not in proportion."""
    height, width = picture.lines.shape[1:]
    side = round(SIDE * coarse * max(1.0, picture.scale) ** 0.6)
    laid = cv2.resize(tile(name), (side, side), interpolation=cv2.INTER_LINEAR)
    return np.take(np.take(laid, np.arange(height) % side, 0), np.arange(width) % side, 1)


def _thick(lines: Plane, scale: float) -> Plane:
    """Lines as wide as they are on a frame of 128 pixels."""
    if scale < 1.25:
        return lines
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(scale) | 1,) * 2)
    return np.stack([cv2.dilate(frame, kernel) for frame in lines])


def _blurred(planes: Plane, sigma: float) -> Plane:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in planes])


def _blurred_frames(frames: Frames, sigma: float) -> Frames:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def _softened(frames: Frames, lines: Plane) -> Frames:
    """Antialiases outlines by a small blur, since there is one ray per pixel."""
    soft = np.stack([cv2.GaussianBlur(frame, (3, 3), 0.8) for frame in frames])
    np.copyto(soft, frames, where=(lines < 0.3)[..., None])
    return soft


def _exposed(frames: Frames, textured: float, rng: np.random.Generator) -> Frames:
    """Camera effects: blur, vignetting, exposure and grain, each growing with `textured`."""
    if textured < 0.02:
        return frames
    blur, vignette = rng.exponential(0.5 * textured), rng.uniform(0, 0.5) * textured
    gain, noise = np.exp(rng.normal(0, 0.25 * textured)), rng.exponential(9 * textured)
    balance = np.exp(rng.normal(0, 0.12 * textured, 3))
    _, height, width, _ = frames.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    corner = (gain * (1 - vignette * (x * x + y * y) / 2))[..., None] * balance
    grain = rng.integers(-128, 128, (2, height * width * 3 + 4096)).astype(np.float32).sum(0) * np.float32(noise / 105)
    made = np.empty_like(frames)
    for index, frame in enumerate(frames):
        seen = cv2.GaussianBlur(frame, (0, 0), blur) if blur > 0.25 else frame
        shift = int(rng.integers(4096))
        film = grain[shift : shift + frame.size].reshape(frame.shape)
        made[index] = (seen * corner.astype(np.float32) + film).clip(0, 255)
    return made
