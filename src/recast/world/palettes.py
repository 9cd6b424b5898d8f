"""Palettes: the colours and patterns that things have in each environment."""

from dataclasses import dataclass

Colour = tuple[int, ...]  # r, g, b, 0 to 255


@dataclass(frozen=True)
class Palette:
    """sRGB colours and patterns of one environment; patterns repeat every so many metres, `contrast` from 0 to 1."""

    ground: Colour
    ground_pattern: tuple[str, float, float]  # tile, repeat in metres, contrast
    wall: Colour
    wall_pattern: tuple[str, float, float]
    roof: Colour
    trunk: Colour
    crown: Colour
    hill: Colour
    rock: Colour
    sky: tuple[Colour, Colour]  # zenith, horizon
    accent: Colour  # of its lines in neon


PALETTES = {
    "snowy field": Palette(
        (236, 242, 250), ("clouds", 9, 0.05), (150, 128, 112), ("planks", 3, 0.25), (240, 245, 252), (92, 74, 62),
        (222, 232, 240), (226, 234, 245), (196, 206, 218), ((132, 172, 222), (214, 228, 243)), (150, 220, 255)),
    "grass meadow": Palette(
        (96, 158, 58), ("blades", 6, 0.11), (176, 152, 118), ("planks", 3, 0.25), (150, 70, 50), (104, 76, 48),
        (58, 128, 44), (112, 164, 72), (128, 128, 118), ((74, 142, 226), (190, 220, 246)), (110, 255, 90)),
    "desert": Palette(
        (226, 172, 100), ("ripples", 7, 0.12), (204, 142, 88), ("fractal", 6, 0.2), (184, 112, 66), (150, 104, 66),
        (92, 138, 70), (216, 152, 86), (190, 116, 70), ((92, 158, 222), (244, 218, 172)), (255, 170, 40)),
    "beach": Palette(
        (240, 218, 164), ("grain", 6, 0.045), (236, 232, 222), ("planks", 3, 0.15), (224, 110, 84), (140, 106, 72),
        (64, 150, 78), (110, 150, 140), (148, 138, 126), ((58, 146, 232), (190, 230, 250)), (60, 240, 255)),
    "city street": Palette(
        (94, 96, 102), ("grain", 5, 0.05), (160, 128, 112), ("panes", 20, 0.6), (96, 92, 96), (60, 62, 68),
        (72, 118, 62), (128, 132, 142), (138, 138, 142), ((120, 164, 214), (208, 218, 226)), (255, 60, 220)),
    "forest": Palette(
        (84, 88, 42), ("fractal", 6, 0.2), (98, 84, 58), ("planks", 3, 0.3), (70, 92, 46), (86, 62, 42),
        (38, 92, 38), (44, 84, 46), (98, 100, 84), ((122, 168, 172), (176, 204, 176)), (60, 255, 170)),
    "mountains": Palette(
        (122, 134, 92), ("fractal", 9, 0.13), (150, 140, 126), ("bricks", 5, 0.25), (126, 82, 60), (88, 70, 54),
        (44, 92, 62), (116, 112, 124), (134, 130, 130), ((70, 128, 210), (200, 216, 236)), (170, 130, 255)),
    "room": Palette(
        (172, 118, 72), ("planks", 2.4, 0.25), (222, 206, 178), ("stripes", 5, 0.04), (246, 242, 232), (120, 80, 52),
        (92, 140, 92), (206, 190, 166), (140, 96, 130), ((238, 230, 214), (238, 230, 214)), (255, 120, 80)),
}  # fmt: skip
