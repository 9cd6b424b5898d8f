"""A setting that follows a sound, as users write it: sound(loudness, 0.2..0.8), sound(onsets of beat.wav, 1..6)."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.curves import Curve
    from recast.video.source import Source

_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)"
_SOUND = re.compile(
    rf"sound\(\s*(?P<what>loudness|onsets|(?P<from>\d+)\s*-\s*(?P<to>\d+)\s*Hz)(?:\s+of\s+(?P<file>.+?))?"
    rf"\s*,\s*(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})\s*\)",
    re.IGNORECASE,
)
HIGHEST = 8000
"""In Hz: half of the rate at which sounds are read."""


@dataclass(frozen=True)
class Driven:
    """A number between two by a feature of a sound.

    values: at silence and at the most, as text. file: None for the clip's own sound. band: in Hz, for what is `Hz`.
    """

    what: str
    values: tuple[str, str]
    file: str | None = None
    band: tuple[float, float] | None = None

    @classmethod
    def parsed(cls, name: str, text: str) -> "Driven":
        """Of sound(FEATURE [of FILE], LOW..HIGH). Raises RequestError for what it cannot be."""
        found = _SOUND.fullmatch(text.strip())
        if found is None:
            raise RequestError(
                f"the schedule of {name} is {text[:100]!r}; write sound(FEATURE, LOW..HIGH) or sound(FEATURE of FILE, "
                "LOW..HIGH), where FEATURE is loudness, onsets or a band such as 20-200Hz"
            )
        band = None if found["from"] is None else (float(found["from"]), float(found["to"]))
        if band is not None and not 0 <= band[0] < band[1] <= HIGHEST:
            raise RequestError(
                f"the schedule of {name} follows {found['what']}; a band goes from a lower to a higher frequency of at "
                f"most {HIGHEST} Hz"
            )
        what = "Hz" if band else found["what"].lower()
        return cls(what, (found["low"], found["high"]), found["file"], band)

    @property
    def is_constant(self) -> bool:
        """Whether it says the same however loud it is."""
        return float(self.values[0]) == float(self.values[1])

    @property
    def text(self) -> str:
        """As it is written."""
        what = self.what if self.band is None else f"{self.band[0]:g}-{self.band[1]:g}Hz"
        of = f" of {self.file}" if self.file else ""
        return f"sound({what}{of}, {self.values[0]}..{self.values[1]})"

    def absolute(self) -> str:
        """As it is written, with the whole path of its file."""
        return self.text if self.file is None else self.text.replace(self.file, str(Path(self.file).absolute()), 1)

    def curve(self, fps: Fraction, source: "Source | None") -> "Curve":
        """Its numbers over the frames of a clip of this rate; beyond the sound's end, that of silence.

        A file's sound begins with the clip's first frame. Raises MediaError where there is no sound, RequestError for a
        clip from memory, which has none.
        """
        from recast.conditions.sound import band_of, loudness, onsets
        from recast.curves import Curve, Keys
        from recast.video.isolated import waveform_of
        from recast.video.waveform import Waveform

        if self.file is None and source is None:
            raise RequestError("there is no clip's sound to follow; name a file, as in sound(loudness of FILE, 0..1)")
        if self.file is None:
            assert source is not None, "looked at above"
            found = waveform_of(source.path)
            found = Waveform(found.samples, found.first - float(source.first_seconds))
        else:
            found = Waveform(waveform_of(Path(self.file)).samples, 0.0)
        feature = band_of(*self.band) if self.band else {"loudness": loudness, "onsets": onsets}[self.what]
        low, high = map(float, self.values)
        levels = [*feature(found, fps).tolist(), 0.0]
        return Curve(Keys(tuple(range(len(levels)))), tuple(low + level * (high - low) for level in levels))
