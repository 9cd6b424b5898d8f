"""HDR brought to standard range by closed forms: PQ and HLG to light, ITU-R BT.2390's curve, BT.709's primaries.

Light is in cd/m2. What a display of REFERENCE_WHITE cd/m2 shows as its brightest is white, the level of diffuse white
that ITU-R BT.2408 recommends; what is brighter is rolled off up to PEAK, and cut above it.
"""

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8, UInt16

PEAK, REFERENCE_WHITE = 1000.0, 203.0
"""Of the source, and of the result, in cd/m2."""
CODES = 2**16
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""Of SMPTE ST 2084, as in ITU-R BT.2100, table 4."""
HLG_A, HLG_GAMMA = 0.17883277, 1.2
HLG_B, HLG_C = 1 - 4 * HLG_A, 0.5 - HLG_A * float(np.log(4 * HLG_A))
"""Of ITU-R BT.2100, table 5; its system gamma for a display of 1000 cd/m2."""
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
"""From light of BT.2020's primaries, ITU-R BT.2087-0, table 3 of its Annex 2 inverted."""
STRIP_ROWS = 32
"""At once: a decoding process has little memory of its own."""

Light = Float[np.ndarray, "..."]


def pq_light(signal: Light) -> Light:
    """Light of PQ signals of 0..1: 0 to 10,000 cd/m2."""
    power = np.power(signal, 1 / M2)
    return np.asarray(10_000 * np.power(np.maximum(power - C1, 0) / (C2 - C3 * power), 1 / M1))


def pq_signal(light: Light) -> Light:
    """PQ signals of light; the inverse of `pq_light`."""
    power = np.power(np.maximum(light, 0) / 10_000, M1)
    return np.asarray(np.power((C1 + C2 * power) / (1 + C3 * power), M2))


def hlg_scene(signal: Light) -> Light:
    """Scene light, 0..1, of HLG signals of 0..1."""
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - HLG_C) / HLG_A) + HLG_B) / 12)


def rolled_off(light: Light, peak: float = PEAK, white: float = REFERENCE_WHITE) -> Light:
    """Light of a source of that peak as a display shows it whose white is `white`: ITU-R BT.2390, section 5.4.1.

    What is dark stays as it is; above a knee a Hermite spline in PQ leads to `white`. A display's black is taken as 0.
    """
    top = pq_signal(np.array(peak))
    largest = float(pq_signal(np.array(white)) / top)
    knee = 1.5 * largest - 0.5
    signal = np.minimum(pq_signal(np.asarray(light, np.float64)) / top, 1)
    t = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * largest
    return pq_light(np.asarray(np.where(signal < knee, signal, spline) * top))


def standard(image: UInt16[np.ndarray, "h w 3"], *, hlg: bool) -> UInt8[np.ndarray, "h w 3"]:
    """Full-range PQ or HLG pictures of BT.2020's primaries as 8-bit sRGB. Colours keep their hue under the curve."""
    rows = range(0, len(image), STRIP_ROWS)
    return np.concatenate([_strip(image[start : start + STRIP_ROWS], hlg=hlg) for start in rows])


def _strip(image: UInt16[np.ndarray, "h w 3"], *, hlg: bool) -> UInt8[np.ndarray, "h w 3"]:
    light = _table(hlg=hlg)[image]
    if hlg:
        # From the scene to the display: all three channels times a power of the scene's luminance.
        luminance = np.maximum(light @ LUMA_2020, 1e-9)[..., None]
        light = PEAK * light * luminance ** np.float32(HLG_GAMMA - 1)
    brightest = light.max(-1)
    places, ratios = _curve()
    linear = light * (np.interp(brightest, places, ratios).astype(np.float32)[..., None] / np.float32(REFERENCE_WHITE))
    shown = np.clip(linear @ TO_709.T, 0, 1)
    curved = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** np.float32(1 / 2.4) - 0.055)
    return (255 * curved + 0.5).astype(np.uint8)


@cache
def _table(*, hlg: bool) -> Float[np.ndarray, " codes"]:
    """Light of each code: of the display for PQ, of the scene for HLG."""
    signal = np.arange(CODES, dtype=np.float64) / (CODES - 1)
    return (hlg_scene(signal) if hlg else pq_light(signal)).astype(np.float32)


@cache
def _curve() -> tuple[Float[np.ndarray, " places"], Float[np.ndarray, " places"]]:
    """Light, and by how much it is multiplied, at places that are even in PQ."""
    places = pq_light(np.linspace(0, 1, 4096))[1:]
    return places, rolled_off(places) / places
