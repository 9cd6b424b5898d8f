"""Materials: colours and texture of every thing that a pixel can show."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from recast.world.palettes import PALETTES, Colour, Palette
from recast.world.scene import Scene
from recast.world.solids import Solid
from recast.world.tiles import PATTERNS, SIDE, tile

PAINTS: dict[str, Colour] = {
    "red": (214, 34, 32), "green": (36, 164, 56), "blue": (36, 78, 220), "yellow": (246, 214, 32),
    "orange": (246, 128, 20), "purple": (136, 44, 188), "black": (30, 30, 34), "white": (246, 246, 246),
    "brown": (124, 74, 36), "pink": (248, 130, 186), "gray": (136, 138, 142),
}  # fmt: skip
FIXED: dict[str, Colour] = {
    "shoe": (48, 42, 42), "beak": (244, 170, 40), "glass": (92, 122, 150), "tyre": (30, 30, 32),
    "light": (232, 232, 228), "lamp": (255, 246, 200), "tail lamp": (200, 24, 24), "wood": (124, 84, 50),
    "roof": (128, 62, 48), "brick": (156, 88, 68), "door": (92, 58, 38), "pane": (128, 172, 206),
    "bulb": (250, 244, 214), "daylight": (196, 226, 250),
}  # fmt: skip
# How much of the surfaces' texture a look lets through.
TEXTURE_SHOWN = {
    "plain": 1.0, "pencil sketch": 0.5, "watercolor": 0.6, "claymation": 0.3, "flat cartoon": 0.0, "neon": 0.5
}  # fmt: skip
WALL_SHIFTS = {"1": (22, -8, -24), "2": (-26, -10, 12)}  # of the walls of some buildings, from the palette's
SKINS: tuple[Colour, ...] = ((238, 196, 166), (204, 152, 112), (150, 98, 66), (96, 62, 44))
HAIRS: tuple[Colour, ...] = ((38, 28, 24), (84, 54, 32), (176, 132, 72), (60, 60, 64))


@dataclass(frozen=True, eq=False)
class Materials:
    """Tables over things, by the id that a pixel shows.

    base, change: colour planes; a texture of value v gives base + v * change; pixels: of the tile in a metre;
    offsets: of the tile in the atlas; glows: light that it gives itself; lit: whether only its lit windows do.
    """

    base: Float32[np.ndarray, "3 n"]
    change: Float32[np.ndarray, "3 n"]
    pixels: Float32[np.ndarray, " n"]
    offsets: Int32[np.ndarray, " n"]
    atlas: Float32[np.ndarray, " m"]
    glows: Float32[np.ndarray, " n"]
    lit: Bool[np.ndarray, " n"]


def materials(
    scene: Scene, solids: list[Solid], owners: UInt8[np.ndarray, " n"], rng: np.random.Generator
) -> Materials:
    """The materials of all things in the scene."""
    palette = PALETTES[scene.environment]
    tones = ["sky", "ground"] + [solid.tone for solid in solids]
    skin, hair = SKINS[rng.integers(len(SKINS))], HAIRS[rng.integers(len(HAIRS))]
    colours, patterns, known = [], [], {}
    for tone, owner in zip(tones, owners.tolist(), strict=True):
        if (tone, owner) not in known:
            known[tone, owner] = (
                _worn_by_subject(scene, tone, scene.subjects[owner - 1].colour, (skin, hair), rng)
                if owner
                else _standing_around(palette, tone, scene.textured, rng)
            )
        colour, pattern = known[tone, owner]
        colours.append(colour)
        patterns.append(pattern)
    names = sorted({name for name, _, _ in patterns})
    base = np.array(colours, np.float32) / 255
    contrast = np.array([c for _, _, c in patterns], np.float32)[:, None]
    change = base * contrast
    change *= TEXTURE_SHOWN[scene.look]
    windows = np.array([name == "panes" for name, _, _ in patterns])
    change[windows] = (np.array([70, 92, 118], np.float32) / 255 - base[windows]) * 0.8
    base, change = _arbitrary(base, change, scene.textured, rng)
    glows = np.array([_glow(scene, tone) for tone in tones], np.float32)
    if scene.time == "night":
        glows[windows] = 0.9
    return Materials(
        base.T.copy(),
        change.T.copy(),
        np.array([SIDE / repeat for _, repeat, _ in patterns], np.float32),
        np.array([names.index(name) * SIDE * SIDE for name, _, _ in patterns], np.int32),
        np.concatenate([tile(name).ravel() for name in names]),
        glows,
        windows,
    )


def _worn_by_subject(
    scene: Scene, tone: str, colour: str, looks: tuple[Colour, Colour], rng: np.random.Generator
) -> tuple[Colour, tuple[str, float, float]]:
    paint = PAINTS[colour]
    if tone == "main":
        shown = tuple(int(np.clip(v + rng.normal(0, 7), 0, 255)) for v in paint)
    elif tone == "dark":
        shown = tuple(int(v * 0.68) for v in paint)
    else:
        shown = {"skin": looks[0], "hair": looks[1]}.get(tone) or FIXED[tone]
    if tone not in ("main", "dark", "roof", "wood"):
        return shown, ("fractal", 1.0, 0.0)
    pattern = PATTERNS[rng.integers(len(PATTERNS))] if rng.random() < 0.6 else "fractal"
    return shown, (pattern, float(rng.uniform(0.8, 2.5)), float(rng.uniform(0.1, 0.5)) * scene.textured)


def _standing_around(
    palette: Palette, tone: str, textured: float, rng: np.random.Generator
) -> tuple[Colour, tuple[str, float, float]]:
    name, _, number = tone.partition(" ")
    if name == "any":
        colour = tuple(int(v) for v in rng.uniform(20, 240, 3))
        return colour, (PATTERNS[rng.integers(len(PATTERNS))], float(rng.uniform(1, 6)), float(rng.uniform(0, 0.5)))
    soft = ("fractal", float(rng.uniform(5, 9)), 0.1 + 0.3 * textured)
    known = {
        "sky": (palette.sky[1], ("fractal", 1.0, 0.0)),
        "ground": (palette.ground, palette.ground_pattern),
        "wall": (palette.wall, palette.wall_pattern),
        "roof": (palette.roof, soft),
        "trunk": (palette.trunk, ("grain", 3.0, 0.15)),
        "crown": (palette.crown, ("grain", 6.0, 0.12)),
        "hill": (palette.hill, ("clouds", 20.0, 0.07)),
        "peak": (palette.hill, ("clouds", 25.0, 0.16)),
        "rock": (palette.rock, soft),
        "cap": ((238, 242, 250), ("clouds", 20.0, 0.06)),
        "water": ((38, 122, 176), ("waves", 9.0, 0.13)),
        "foam": ((240, 244, 244), ("clouds", 4.0, 0.05)),
        "pavement": ((158, 154, 148), ("checks", 6.0, 0.03)),
    }
    colour, (pattern, repeat, contrast) = known.get(name) or (FIXED[name], ("fractal", 1.0, 0.0))
    # On bright surfaces the full contrast would look like dirt.
    contrast *= 1.0 if pattern == "panes" else min(1.0, 1.35 - max(colour) / 255)
    shift = WALL_SHIFTS.get(number, (0, 0, 0))
    drift = rng.normal(0, 5)
    return tuple(int(np.clip(v + s + drift, 0, 255)) for v, s in zip(colour, shift, strict=True)), (
        pattern,
        repeat,
        contrast,
    )


def _arbitrary(
    base: Float32[np.ndarray, "n 3"], change: Float32[np.ndarray, "n 3"], textured: float, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n 3"]]:
    """Colours drawn towards arbitrary ones as `textured` passes one half, where captions stop to name them."""
    share = np.float32(max(0.0, textured - 0.6) / 0.4)
    if not share:
        return base, change
    other = rng.uniform(0.02, 1, base.shape).astype(np.float32)
    second = (rng.normal(0, 0.3, base.shape)).astype(np.float32)
    mixed = base + share * (other - base)
    return mixed, change + share * (second - change)


def _glow(scene: Scene, tone: str) -> float:
    if tone in ("lamp", "bulb", "pane"):
        return 0.85 if scene.time == "night" else 0.0
    return 0.4 if tone == "daylight" and scene.time == "day" else 0.0
