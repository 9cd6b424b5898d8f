"""A setting that follows a sound, as users write it: sound(loudness, 0.2..0.8), sound(onsets of beat.wav, 1..6).

Words follow one too: sound(loudness, a calm sea..a stormy sea), as TPoS (arXiv:2309.04509) moves content with a sound.
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from recast.editing.values import ALSO_SET_AS
from recast.errors import RequestError

if TYPE_CHECKING:
    from recast.curves import Between, Curve
    from recast.video.source import Source

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)")
_SOUND = re.compile(
    r"sound\(\s*(?P<what>loudness|onsets|(?P<from>\d+)\s*-\s*(?P<to>\d+)\s*Hz)(?:\s+over\s+(?P<over>\d+))?(?:\s+of\s+(?P<file>.+?))?"
    r"\s*,\s*(?P<values>.+?)\s*\)",
    re.IGNORECASE | re.DOTALL,
)
WORDED = ("words",)
"""Settings that are words."""
LONGEST = 1000
"""Frames that a feature is averaged over."""
HIGHEST = 8000
"""In Hz: half of the rate at which sounds are read."""


@dataclass(frozen=True)
class Driven:
    """A number between two by a feature of a sound, or words between two or more.

    values: from silence to the most, as text. file: None for the clip's own sound. band: in Hz, for what is `Hz`.
    over: how many frames the feature is averaged over, around each.
    """

    what: str
    values: tuple[str, ...]
    file: str | None = None
    band: tuple[float, float] | None = None
    over: int = 1

    @classmethod
    def parsed(cls, name: str, text: str) -> "Driven":
        """Of sound(FEATURE [over FRAMES] [of FILE], LOW..HIGH), and of words. Raises RequestError for others."""
        found = _SOUND.fullmatch(text.strip())
        values = tuple(each.strip() for each in found["values"].split("..")) if found else ()
        numbers = [each for each in values if _NUMBER.fullmatch(each)]
        right = len(values) >= 2 and all(values) if name in WORDED else len(values) == len(numbers) == 2
        if found is None or not right:
            ends, shown = "WORDS..WORDS" if name in WORDED else "LOW..HIGH", ALSO_SET_AS.get(name, name)
            raise RequestError(
                f"the schedule of {shown} is {text[:100]!r}; write sound(FEATURE, {ends}) or sound(FEATURE of FILE, "
                f"{ends}), where FEATURE is loudness, onsets or a band such as 20-200Hz"
            )
        band = None if found["from"] is None else (float(found["from"]), float(found["to"]))
        if band is not None and not 0 <= band[0] < band[1] <= HIGHEST:
            raise RequestError(
                f"the schedule of {name} follows {found['what']}; a band goes from a lower to a higher frequency of at "
                f"most {HIGHEST} Hz"
            )
        what = "Hz" if band else found["what"].lower()
        over = int(found["over"] or 1)
        if not 1 <= over <= LONGEST:
            raise RequestError(f"the schedule of {name} averages over {over} frames; it should be 1 to {LONGEST}")
        return cls(what, values, found["file"], band, over)

    @property
    def is_constant(self) -> bool:
        """Whether it says the same however loud it is."""
        return len({float(each) if _NUMBER.fullmatch(each) else each for each in self.values}) == 1

    @property
    def text(self) -> str:
        """As it is written."""
        what = self.what if self.band is None else f"{self.band[0]:g}-{self.band[1]:g}Hz"
        of = f" of {self.file}" if self.file else ""
        over = f" over {self.over}" if self.over > 1 else ""
        return f"sound({what}{over}{of}, {'..'.join(self.values)})"

    def absolute(self) -> str:
        """As it is written, with the whole path of its file."""
        return self.text if self.file is None else replace(self, file=str(Path(self.file).absolute())).text

    def curve(self, fps: Fraction, source: "Source | None") -> "Curve":
        """Its numbers over the frames of a clip of this rate; beyond the sound's end, that of silence.

        Raises MediaError where there is no sound, RequestError for a clip from memory, which has none.
        """
        low, high = map(float, self.values)
        return self._over(fps, source, low, high)

    def between(self, fps: Fraction, source: "Source | None") -> "Between":
        """Which of its values, and how far on its way to the next one, each frame of a clip of this rate has."""
        from recast.curves import Between

        return Between(self._over(fps, source, 0.0, len(self.values) - 1.0))

    def _over(self, fps: Fraction, source: "Source | None", low: float, high: float) -> "Curve":
        """From one number at silence to another one at the most.

        A file's sound begins with the clip's first frame. Raises MediaError where there is no sound, RequestError for a
        clip from memory, which has none.
        """
        from recast.conditions.sound import averaged, band_of, loudness, onsets
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
        levels = [*averaged(feature(found, fps), self.over).tolist(), 0.0]
        return Curve(Keys(tuple(range(len(levels)))), tuple(low + level * (high - low) for level in levels))
