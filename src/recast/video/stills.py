"""Frames as a folder of numbered PNG files, lossless, with the run's record beside them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from recast.video.encode import Moment
from recast.video.png16 import write_png16
from recast.video.sequence import RECORD_NAME
from recast.video.source import Source

# Fast rather than small: level 1 takes a third of the time and gives files a tenth larger.
COMPRESSION = 1


class Stills:
    """Writes frames as pictures. Each carries the frame rate, which `opened` reads back. deep: in 16 bits a channel."""

    def __init__(
        self,
        folder: Path,
        pattern: str,
        source: Source,
        fps: Fraction | None,
        record: str | None,
        *,
        deep: bool = False,
    ) -> None:
        self._folder, self._pattern, self._record, self._deep = folder, pattern, record, deep
        self._rate = str(fps or source.fps)
        self._text = PngInfo()
        self._text.add_text("fps", self._rate)
        self._count = 0
        self.notes = ["pictures hold no sound; it was left out"] if source.has_sound else []
        if fps is None and not source.constant:
            self.notes.append("pictures hold no varying times; the mean frame rate was noted in them")

    def add(self, image: UInt8[np.ndarray, "h w c"], moment: Moment) -> None:  # noqa: ARG002
        """Writes the next picture."""
        self._count += 1
        name = self._pattern % self._count
        if self._deep:
            write_png16(self._folder / name, image, {"fps": self._rate}, COMPRESSION)
            return
        Image.fromarray(image).save(self._folder / name, pnginfo=self._text, compress_level=COMPRESSION)

    def finish(self) -> None:
        """Writes the record."""
        if self._record is not None:
            (self._folder / RECORD_NAME).write_text(self._record, encoding="utf-8")
