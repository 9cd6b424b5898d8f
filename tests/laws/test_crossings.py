"""Laws of scenes whose subjects hide each other, and of what is measured on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recast.errors import RequestError
from recast.evaluation.cases.crossings import crossing_case, passes_behind, seen_shares
from recast.evaluation.cases.subjects import PHOTOS, subject_case
from recast.evaluation.judge.judge import Judge
from recast.evaluation.metrics.identity import identity, scores
from recast.evaluation.metrics.likeness import likeness, subject_embeddings
from recast.evaluation.trials import floors, frames_of
from recast.world import rendered, vocabulary
from recast.world.captions import plain_caption
from recast.world.crossings import SECONDS, crossing
from recast.world.materials import PAINTS
from recast.world.words import COLOURS

SMALL = {"height": 48, "width": 48}
SCENES = [(seed, count) for seed in range(12) for count in (2, 3)]


@pytest.mark.parametrize("count", [2, 3])
def test_in_every_scene_each_subject_behind_is_hidden_and_seen_before_and_after(count):
    for seed in range(5):
        shares = seen_shares(rendered(crossing(seed, count, weather="sun"), **SMALL))
        assert len(shares) == count
        assert (shares[0] > 0.9).all()
        for share in shares[1:]:
            assert share.min() < 0.7
            assert min(share[0], share[-1]) > share.min() + 0.2


def test_masks_are_those_of_the_nearest_subject():
    for seed, count in SCENES[:4]:
        scene = crossing(seed, count)
        together = rendered(scene, 4, **SMALL)
        alone = [rendered(replace(scene, subjects=(subject,)), 4, **SMALL) for subject in scene.subjects]
        depths = np.stack([np.where(each.masks > 0, each.depth, np.inf) for each in alone])
        nearest = np.where(np.isinf(depths).all(axis=0), 0, depths.argmin(axis=0) + 1)
        np.testing.assert_array_equal(together.masks, nearest)
        assert sorted(scene.subjects, key=lambda subject: subject.position[2]) == list(scene.subjects)


def test_subjects_meet_on_screen_when_it_says():
    """Seen from the eye, the nearest is where it passes each of the others, at time 0 or one before and one after."""
    for seed, count in SCENES:
        scene = crossing(seed, count)
        first, *others = scene.subjects
        for other, time in zip(others, _meetings(scene), strict=True):
            assert _across(scene, first, time) == pytest.approx(_across(scene, other, time), abs=1e-9)
            assert abs(_across(scene, first, SECONDS / 2) - _across(scene, other, SECONDS / 2)) > 0.1


def _across(scene, subject, time):
    x, _, z = subject.position
    return (x + subject.speed * np.sin(subject.heading) * time) / (z - scene.camera.eye[2])


def _meetings(scene):
    first, *others = scene.subjects
    if len(others) == 1:
        return [0.0]
    ways = [np.sign(other.position[0]) * np.sign(np.sin(first.heading)) for other in others]
    return [0.15 * way for way in ways]


def test_a_scene_is_the_same_each_time_and_its_subjects_are_told_apart_by_words_that_the_model_knows():
    known = vocabulary() | {"and"}
    for seed, count in SCENES:
        scene = crossing(seed, count)
        assert scene == crossing(seed, count)
        assert len({subject.kind for subject in scene.subjects}) == len({s.colour for s in scene.subjects}) == count
        caption = plain_caption(scene)
        assert set(caption.split()) <= known
        assert all(f"{subject.colour} {subject.kind}" in caption for subject in scene.subjects)
    assert crossing(1) != crossing(2)


def test_what_is_asked_of_a_crossing_is_what_is_there():
    scene = crossing(3, 2, environment="beach", time="night", look="neon")
    assert (scene.environment, scene.time, scene.look) == ("beach", "night", "neon")
    with pytest.raises(RequestError, match="2 or 3, not 4"):
        crossing(0, 4)
    with pytest.raises(RequestError, match="plain"):
        crossing(0, 2, look="cubist")


@pytest.mark.parametrize("number", [1001, 1002])
def test_a_case_changes_what_it_says_and_nothing_else(number):
    case = crossing_case(number, 48)
    source, truth = case.source.scene, case.truth
    assert len(source.subjects) == 2 + number % 2
    if case.changes == "place":
        assert replace(truth, environment=source.environment) == source
        assert truth.environment != source.environment
    else:
        assert all(new.colour != old.colour for new, old in zip(truth.subjects, source.subjects, strict=True))
        renamed = [replace(new, colour=old.colour) for new, old in zip(truth.subjects, source.subjects, strict=True)]
        assert replace(truth, subjects=tuple(renamed)) == source
    np.testing.assert_array_equal(rendered(truth, **SMALL).masks, case.source.masks)
    assert set(range(1, len(source.subjects))) <= set(case.hidden)


def test_passing_behind_is_a_gap_between_two_sights():
    row = np.array([1, 1, 0, 0, 1, 0, 1, 1], bool)
    assert passes_behind(row) == (slice(0, 2), slice(6, 8))
    for never in ([1, 1, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]):
        assert passes_behind(np.array(never, bool)) is None


def test_the_reference_render_has_its_subjects_and_floors_do_not():
    judge, found = Judge.opened(), {"truth": [], "source": [], "grey": []}
    for number in (1000, 1001):  # colours change
        case = crossing_case(number, 128)
        source, truth = frames_of(case.source), frames_of(rendered(case.truth))
        for name, frames in (("truth", truth), ("source", source), ("grey", floors(source, 0)["grey"])):
            found[name].append(identity(frames, case, judge))
    least = {name: min(each["found"] for each in rows) for name, rows in found.items()}
    most = {name: max(each["found"] for each in rows) for name, rows in found.items()}
    assert least["truth"] > 0.9
    assert most["source"] < 0.1
    assert np.mean([each["found"] for each in found["grey"]]) < 0.3
    assert np.mean([each["identity"] for each in found["truth"]]) > 0.8


def read(colours):
    """Readings that are sure of these colours; one list of words for each subject."""
    names = list(COLOURS)
    sure = torch.tensor([[names.index(word) for word in row] for row in colours])
    return torch.nn.functional.one_hot(sure, len(names)).float().log_softmax(dim=2)


def test_subjects_are_counted_swapped_and_kept():
    visible = np.array([[1, 1, 1, 1], [1, 0, 0, 1]], bool)
    asked = ["red", "blue"]
    right = read([["red"] * 4, ["blue", "red", "red", "blue"]])
    assert scores(right, asked, visible) == {"found": 1, "counted": 1, "swapped": 0, "identity": 1}
    swapped = read([["blue"] * 4, ["red"] * 4])
    assert scores(swapped, asked, visible) == {"found": 0, "counted": 0, "swapped": 1, "identity": 0}
    lost = scores(read([["red"] * 4, ["blue", "red", "red", "red"]]), asked, visible)
    assert lost == pytest.approx({"found": 5 / 6, "counted": 3 / 4, "swapped": 1 / 6, "identity": 0})


def test_photos_show_the_subject_that_the_truth_shows():
    case = subject_case(1002, 48, 2)
    subject = case.truth.subjects[0]
    assert len(case.photos) == PHOTOS
    for photo in case.photos:
        [shown] = photo.scene.subjects
        assert (shown.kind, shown.colour) == (subject.kind, subject.colour)
        assert photo.scene.environment != case.truth.environment
    assert case.source.scene.subjects[0].colour != subject.colour
    assert case.words("sks").startswith("a sks ")


def mean_colour(frames):
    """An embedding: a picture's mean colour, less grey."""
    return frames.float().mean(dim=(2, 3)) - 128


def test_likeness_sees_nothing_but_the_subject():
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[:, 4:10, 3:9] = True
    red, blue = (torch.tensor(PAINTS[name], dtype=torch.uint8)[:, None, None] for name in ("red", "blue"))
    on_black, on_white = (torch.where(mask[:, None], red, torch.tensor(g, dtype=torch.uint8)) for g in (0, 255))
    one, other = (subject_embeddings(frames, mask, mean_colour) for frames in (on_black, on_white))
    torch.testing.assert_close(one, other)
    assert likeness(one, other) == pytest.approx(1)
    third = subject_embeddings(torch.where(mask[:, None], blue, red), mask, mean_colour)
    assert likeness(one, third) < 0.9
