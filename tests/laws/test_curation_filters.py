"""Laws of what is left out of a curation: each filter finds what it is there for, and leaves the rest alone."""

import numpy as np
import pytest
import torch

from curation_files import film, lettered, settings, still, world
from recast.curation.copies import copies, perceptual_hash
from recast.curation.filters import judged
from recast.curation.shots import clips, shots, spans
from recast.video.cuts import DETECTORS
from recast.video.read import Window, frames, opened

SEEDS = range(12)


def shift(frame, px, count):
    """A frame that slides to the right by so many pixels a step."""
    return torch.stack([torch.roll(frame, px * i, dims=-1) for i in range(count)])


def noisy(frames, deviation, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return (frames + deviation * torch.randn(frames.shape, generator=rng)).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_world_that_moves_is_kept(seed):
    scores, reason = judged(world(seed, 4, 192, 256), settings(skip=("static", "fast")))
    assert reason is None, scores


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (torch.zeros_like, "black"),
        (lambda clip: torch.cat([clip[:3], torch.zeros_like(clip[:1])]), "black"),
        (lambda clip: torch.full_like(clip, 200), "plain"),
        (lambda clip: still(clip[0], 4), "frozen"),
        (lambda clip: noisy(still(clip[0], 4), 3), "static"),
        (lambda clip: shift(clip[0], 36, 4), "fast"),
        (lambda clip: noisy(torch.full_like(clip, 128), 60), "torn"),
        (lettered, "text"),
    ],
    ids=["black", "fades to black", "plain", "frozen", "static", "fast", "torn", "text"],
)
def test_each_filter_drops_what_it_is_there_for(make, reason):
    clip = world(3, 4, 192, 256)
    asked = settings(skip=("static", "fast") if reason in ("torn", "text") else ())
    assert judged(make(clip), asked)[1] == reason
    assert judged(make(clip), settings(skip=(reason, *asked.skip)))[1] != reason


def test_motion_is_what_it_was_moved_by():
    frame = world(5, 1, 144, 192)[0]
    scores, _ = judged(shift(frame, 4, 4), settings())
    assert scores["static"] == pytest.approx(100 * 4 / 144, rel=0.1)


@pytest.mark.parametrize("detector", sorted(set(DETECTORS) - {"none"}))
def test_a_hard_cut_never_lies_within_a_clip(tmp_path, detector):
    lengths = np.random.default_rng(0).integers(9, 25, 12)
    parts = [world(100 + i, 25)[:length] for i, length in enumerate(lengths)]
    source = opened(film(tmp_path / "cuts.mp4", *parts))
    cuts = set(np.cumsum(lengths)[:-1].tolist())
    found = shots(source, detector)
    assert [shot.start for shot in found[1:]] == [shot.stop for shot in found[:-1]]
    assert found[-1].stop == lengths.sum()
    made = [span for shot in found for span in spans(shot, 4, 2)]
    assert len(made) >= 12
    assert not [span for span in made for cut in cuts if span.start < cut < span.stop]


def test_clips_are_the_frames_that_spans_name(tmp_path):
    source = opened(film(tmp_path / "film.mp4", world(1, 16)))
    every = [frame.pixels for frame in frames(source, Window())]
    wanted = list(spans(range(1, 16), 4, 2))
    for span, held in clips(source, wanted):
        assert [frame.index for frame in held] == list(span.picks)
        assert all(torch.equal(frame.pixels, every[frame.index]) for frame in held)
    assert [span.start for span in wanted] == [1, 9]


def test_copies_are_found_also_when_encoded_again_and_distinct_worlds_are_not(tmp_path):
    clips_of = [world(seed, 4) for seed in SEEDS]
    again = [
        torch.stack([f.pixels for f in frames(opened(film(tmp_path / "a.mp4", clip)), Window())]) for clip in clips_of
    ]
    hashes = [(perceptual_hash(clip), f"first {i}") for i, clip in enumerate(clips_of)]
    assert list(copies(hashes)) == [None] * len(SEEDS)
    seconds = [(perceptual_hash(clip), f"second {i}") for i, clip in enumerate([*clips_of, *again])]
    assert list(copies([*hashes, *seconds]))[len(SEEDS) :] == [*SEEDS, *SEEDS]


def test_clips_of_one_source_are_not_each_others_copies():
    code = perceptual_hash(world(1, 4))
    assert list(copies([(code, "a"), (code, "a"), (code, "b")])) == [None, None, 0]


def test_a_copy_is_found_wherever_few_bits_differ():
    rng = np.random.default_rng(0)
    code = rng.integers(0, 2, 192).astype(np.uint8)
    for _ in range(50):
        other = code.copy()
        other[rng.choice(192, 15, replace=False)] ^= 1
        far = code.copy()
        far[rng.choice(192, 16, replace=False)] ^= 1
        pairs = [(np.packbits(bits).tobytes(), name) for bits, name in ((code, "a"), (other, "b"), (far, "c"))]
        assert list(copies(pairs[:2])) == [None, 0]
        assert list(copies([pairs[0], pairs[2]])) == [None, None]
