"""How opaque frames of a source are, read beside its colours."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from recast.errors import MediaError
from recast.video.frame import Frame
from recast.video.read import frames
from recast.video.source import Source, Window


class Opacity:
    """The alpha channel of a window of a source, 8 bits, 255 is opaque. Frames are asked for in order."""

    def __init__(self, source: Source, window: Window) -> None:
        self._path = source.path
        self._coming = frames(replace(source, alpha=True), window)

    def of(self, frame: Frame) -> UInt8[np.ndarray, "h w"]:
        """Of the source's frame with that index. Raises MediaError where the source holds no more of it."""
        found = next((each for each in self._coming if each.index >= frame.index), None)
        if found is None or found.index != frame.index:
            raise MediaError(f"frame {frame.index} has colours and no alpha; say --alpha black: {self._path}")
        return found.pixels[0].numpy()
