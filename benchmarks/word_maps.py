"""How well attention finds the subject: `python benchmarks/word_maps.py --model pocket-words --first 0 --worlds 100`.

For each world the area under the ROC curve of the map of the subject's word against the subject's true mask, and the
mean of all with its interval.
"""

import argparse
import json

import numpy as np
import torch

from recast.conditions.content import ContentInput, Medium
from recast.editing.loaded import Model
from recast.evaluation.cases.worlds import case
from recast.evaluation.intervals import mean
from recast.evaluation.metrics.word_maps import word_map, word_map_score
from recast.evaluation.trials import FPS, frames_of
from recast.types import Clip


def score(number: int, model: Model, side: int, frames: int) -> dict[str, object]:
    """One world's row."""
    shown = case(number, side, frames)
    clip = Clip(frames_of(shown.source), FPS)
    structure = model.extractor("depth")(clip)
    words, kind = shown.source_words, shown.source.scene.subjects[0].kind
    found = word_map(model.backbone, clip.frames, structure, ContentInput(Medium.WORDS, words), kind, seed=number)
    masks = torch.from_numpy(np.asarray(shown.source.masks) > 0)
    return {"world": number, "words": words, "word": kind, "auc": round(word_map_score(found, masks), 4)}


def main() -> None:
    """Prints a row for each world as JSON, then the mean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket-words")
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--frames", type=int, default=2)
    asked = parser.parse_args()
    model, found = Model.loaded(asked.model), []
    for number in range(asked.first, asked.first + asked.worlds):
        row = score(number, model, model.backbone.short_side, asked.frames)
        found.append(row["auc"])
        print(json.dumps(row), flush=True)
    print("mean AUC", mean(found, np.random.default_rng(0)))


if __name__ == "__main__":
    main()
