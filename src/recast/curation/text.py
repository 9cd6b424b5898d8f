"""Share of a picture that text covers (titles, subtitles, watermarks, signs), by RapidOCR, which ships its models."""

from functools import cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from recast.errors import extra

LONG_SIDE_PX = 480
SUREST = 0.8
SHORTEST = 3
"""Least number of letters and digits of a text: on grass and ripples OCR finds single huge characters."""


def text_share(image: UInt8[np.ndarray, "h w 3"]) -> float:
    """Share of the picture inside boxes of recognised text, 0..1."""
    read = _reader()(np.ascontiguousarray(image[..., ::-1]))
    if read.boxes is None or read.txts is None:
        return 0.0
    covered = np.zeros(image.shape[:2], np.uint8)
    for box, text, score in zip(read.boxes, read.txts, read.scores, strict=True):
        if score >= SUREST and sum(map(str.isalnum, text)) >= SHORTEST:
            cv2.fillPoly(covered, [np.round(box).astype(np.int32)], 1)
    return float(covered.mean())


@cache
def _reader() -> Any:  # noqa: ANN401 -- RapidOCR has no types
    with extra("curate"):
        from rapidocr import RapidOCR
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,  # overlays stand upright
            "Det.limit_type": "max",
            "Det.limit_side_len": LONG_SIDE_PX,
            # One thread, as everywhere in curation: processes fill the cores.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
