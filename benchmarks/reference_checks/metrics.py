"""Measures of edits beside the code that published figures were made with, on random frames and features."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.random_inputs import SEEDS, features, over_seeds, pictures
from benchmarks.reference_checks.toys import normal
from torch import Tensor

from recast.evaluation.metrics.consistency import all_pairs, neighbours
from recast.evaluation.metrics.direction import directional_similarity
from recast.evaluation.metrics.flicker import flicker
from recast.evaluation.metrics.frame_accuracy import frame_accuracy
from recast.evaluation.metrics.motion import end_point_error
from recast.evaluation.metrics.structure import structure_distance


def every_pair(source: Published) -> float:
    """Frame consistency of LOVEU-TGVE 2023."""

    def cosines(vectors: np.ndarray) -> np.ndarray:
        unit = F.normalize(torch.from_numpy(vectors), dim=1)
        return (unit @ unit.T).numpy()

    def theirs(seed: int) -> float:
        inputs: Any = type("Inputs", (dict,), {"to": lambda self, _device: self})()
        model = SimpleNamespace(get_image_features=lambda: features(seed))
        given = {"processor": lambda **_: inputs, "device": "cpu", "cosine_similarity": cosines, "model": model}
        return source.load("clip_score_frame", **given).clip_score_frame([None] * len(features(seed)), "")

    return gap(over_seeds(lambda seed: all_pairs(features(seed))), over_seeds(theirs))


class Pair:
    """FateZero's CLIP: frame i is features(0)[i], and the words are two of features(1)."""

    words = features(1)[:2]

    def encode_image(self, image: Tensor) -> Tensor:
        """The features themselves."""
        return image

    def encode_text(self, _text: Tensor) -> Tensor:
        """Both texts."""
        return self.words

    def __call__(self, image: Tensor, _text: Tensor) -> tuple[Tensor, None]:
        """Logits of a picture, as CLIP scales them."""
        return 100 * F.normalize(image, dim=1) @ F.normalize(self.words, dim=1).T, None


def accurate_frames(source: Published) -> float:
    """FateZero's frame accuracy, and its consistency of neighbours."""
    frames = features(0)
    given = {
        "glob": lambda _pattern: [f"{index:05d}" for index in range(len(frames))],
        "crop_read_image_path": lambda path: frames[int(path)],
        "preprocess": lambda image: image,
        "clip": SimpleNamespace(tokenize=lambda _texts: torch.zeros(2, 1)),
        "model": Pair(),
        "device": "cpu",
        "print": lambda *_: None,
    }
    accuracy, consistency = source.load("edit_success", "folder_success", **given).folder_success("", "", "")
    before, after = Pair.words
    ours = torch.tensor([frame_accuracy(after, before, frames), neighbours(frames)], dtype=torch.float64)
    return gap(ours, torch.tensor([accuracy, float(consistency)], dtype=torch.float64))


def directed(source: Published) -> float:
    """InstructPix2Pix's directional similarity, frame by frame."""
    encoders = SimpleNamespace(
        encode_image=partial(F.normalize, dim=1), encode_text=lambda text: F.normalize(text[None], dim=1)
    )
    (before, after), (words, edit) = (features(0), features(1)), features(2)[:2]
    theirs = source.load("ClipSimilarity.forward").forward(encoders, before, after, words, edit)[2]
    pairs = zip(after, before, strict=True)
    ours = [directional_similarity(edit, words, here[None], there[None]) for here, there in pairs]
    return gap(torch.tensor(ours, dtype=torch.float64), theirs)


def alike_places(source: Published) -> float:
    """Splice's self-similarity, and the squared difference that it trains on."""
    matrix = source.load("attn_cosine_sim").attn_cosine_sim

    def theirs(seed: int) -> Tensor:
        return F.mse_loss(*(matrix(features(each)[None, None]) for each in (seed, seed + 1)))

    ours = over_seeds(lambda seed: structure_distance(features(seed)[None], features(seed + 1)[None]))
    return gap(ours, over_seeds(theirs))


def flickering(source: Published) -> float:
    """VBench's differences of neighbouring frames, as shares of 255."""
    theirs = source.load("mae_seq", "calculate_mae", cv2=cv2).mae_seq
    ours = over_seeds(lambda seed: flicker(pictures(seed)) / 255)
    return gap(ours, over_seeds(lambda seed: theirs(list(pictures(seed).numpy())).mean() / 255))


def moving(source: Published) -> float:
    """V2VBench's end-point error, of given flows."""
    evaluator = SimpleNamespace(extract_flow=lambda flow: flow)
    theirs = source.load("MotionAlignment.evaluate").evaluate
    pairs = {seed: (normal(4, 2, 9, 9, seed=seed), normal(4, 2, 9, 9, seed=seed + 5)) for seed in SEEDS}
    ours = over_seeds(lambda seed: end_point_error(*pairs[seed]))
    published = over_seeds(lambda seed: -theirs(evaluator, (pairs[seed][0], None, "kept", pairs[seed][1])))
    return gap(ours, published)


measured = partial(Check, bound=1e-6)
CHECKS = (
    measured(
        "metric frame_pairs",
        "showlab/loveu-tgve-2023",
        "scripts/run_eval.py",
        "clip_score_frame / all_pairs",
        every_pair,
    ),
    measured(
        "metric frame_accuracy",
        "ChenyangQiQi/FateZero",
        "CLIP/frame_acc_tem_con.py",
        "folder_success / frame_accuracy, neighbours",
        accurate_frames,
    ),
    measured(
        "metric direction",
        "timothybrooks/instruct-pix2pix",
        "metrics/clip_similarity.py",
        "ClipSimilarity / directional_similarity",
        directed,
    ),
    measured(
        "metric structure", "omerbt/Splice", "models/extractor.py", "attn_cosine_sim / structure_distance", alike_places
    ),
    measured("metric flicker", "Vchitect/VBench", "vbench/temporal_flickering.py", "mae_seq / flicker", flickering),
    measured(
        "metric motion",
        "wenhao728/awesome-diffusion-v2v",
        "v2vbench/motion_alignment.py",
        "MotionAlignment.evaluate / end_point_error",
        moving,
    ),
)
