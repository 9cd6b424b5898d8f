"""What of a sound settings can follow: how loud it is, its beats, and how loud a band of it is, frame by frame."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil

import numpy as np
from jaxtyping import Float64

from recast.video.waveform import RATE, Waveform

Levels = Float64[np.ndarray, " t"]
"""One number a frame of a clip, 0..1: 1 where it is most in the whole sound, 0 where it is silent."""
SPECTRUM = 1024
"""Samples of a spectrum: 64 ms, bins 16 Hz apart."""


def loudness(waveform: Waveform, fps: Fraction) -> Levels:
    """The root of the mean square of each frame's time, of amplitudes and not of decibels."""
    return _of_most([np.sqrt(np.mean(np.square(part))) if len(part) else 0.0 for part in _frames(waveform, fps)])


def band(waveform: Waveform, fps: Fraction, low: float, high: float) -> Levels:
    """The same of what lies between two frequencies, in Hz."""
    bins = np.fft.rfftfreq(SPECTRUM, 1 / RATE)
    within = (bins >= low) & (bins <= high)
    return _of_most([np.sqrt(np.sum(np.square(each[within]))) for each in _spectra(waveform, fps)])


def averaged(levels: Levels, over: int) -> Levels:
    """The mean of so many frames around each, of those that there are at the ends. AADiff, arXiv:2305.04001."""
    before = (over - 1) // 2
    sums, counts = (np.convolve(each, np.ones(over))[before:][: len(levels)] for each in (levels, np.ones(len(levels))))
    return sums / counts


def onsets(waveform: Waveform, fps: Fraction) -> Levels:
    """Spectral flux: by how much frequencies became louder since the frame before, on a scale of logarithms."""
    logs = [np.zeros(1), *(np.log1p(100 * each) for each in _spectra(waveform, fps))]
    return _of_most([np.sum(np.clip(new - old, 0, None)) for old, new in pairwise(logs)])


def band_of(low: float, high: float) -> Callable[[Waveform, Fraction], Levels]:
    """`band` with its frequencies."""
    return lambda waveform, fps: band(waveform, fps, low, high)


def _count(waveform: Waveform, fps: Fraction) -> int:
    """Frames from the clip's first one to the sound's end."""
    return max(0, ceil((waveform.first + len(waveform.samples) / RATE) * fps))


def _frames(waveform: Waveform, fps: Fraction) -> list[Float64[np.ndarray, " n"]]:
    """The samples of each frame's time; fewer, or none, where the sound is not there."""
    edges = [round(RATE * (float(frame / fps) - waveform.first)) for frame in range(_count(waveform, fps) + 1)]
    whole = waveform.samples.astype(np.float64)
    return [whole[max(0, start) : max(0, stop)] for start, stop in pairwise(edges)]


def _spectra(waveform: Waveform, fps: Fraction) -> list[Float64[np.ndarray, " bins"]]:
    """Amplitudes by frequency around the middle of each frame, under a Hann window."""
    half, window = SPECTRUM // 2, np.hanning(SPECTRUM)
    padded = np.pad(waveform.samples.astype(np.float64), SPECTRUM)
    found = []
    for frame in range(_count(waveform, fps)):
        middle = round(RATE * (float((frame + Fraction(1, 2)) / fps) - waveform.first)) + SPECTRUM
        part = padded[max(0, middle - half) : max(0, middle + half)]
        found.append(np.abs(np.fft.rfft(np.pad(part, (0, SPECTRUM - len(part))) * window)) / half)
    return found


def _of_most(values: list[np.floating | float]) -> Levels:
    levels = np.asarray(values, np.float64)
    most = levels.max(initial=0.0)
    return levels / most if most > 0 else np.zeros_like(levels)
