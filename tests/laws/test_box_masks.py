"""Words become masks by boxes: Grounding DINO finds them (arXiv:2303.05499) and SAM draws them (arXiv:2304.02643)."""

import json

import pytest
import torch
from torch.testing import assert_close
from transformers.models.grounding_dino.processing_grounding_dino import GroundingDinoProcessor
from transformers.models.sam.processing_sam import SamProcessor

from grounded_sam_folder import write_grounded_sam
from recast.backbones.families import family_of
from recast.cli.app import run
from recast.conditions.box_masks import BoxMasks
from recast.conditions.follow import followed_still
from recast.conditions.segmenters import WordSegmenter, segmenter_of
from recast.conditions.word_masks import WordMasks
from recast.errors import RequestError, WeightsError
from recast.model.folder import ModelFolder
from recast.video.read import Window, opened, read
from tiny_folder import clip_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_grounded_sam(tmp_path_factory.mktemp("grounded-sam"))


@pytest.fixture(scope="module")
def segmenter(folder):
    return segmenter_of(ModelFolder.found(folder), torch.device("cpu"))


def frames(count=2, size=(40, 52)):
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def by_hand(segmenter, frame, words, threshold):
    """What transformers' own processors make of a frame: scores of boxes, and their masks."""
    detect = GroundingDinoProcessor(segmenter.detector_processor, segmenter.tokenizer)
    given = detect(images=frame, text=[words], return_tensors="pt")
    answer = segmenter.detector(**given)
    [found] = detect.post_process_grounded_object_detection(
        answer, given["input_ids"], threshold=threshold, target_sizes=[tuple(frame.shape[-2:])]
    )
    draw = SamProcessor(segmenter.processor)
    given = draw(images=frame, input_boxes=[found["boxes"].tolist()], return_tensors="pt")
    answer = segmenter.network(**given, multimask_output=False)
    [masks] = draw.image_processor.post_process_masks(
        answer.pred_masks, given["original_sizes"], given["reshaped_input_sizes"]
    )
    return found["scores"], masks[:, 0]


def middle_score(segmenter, shown, words):
    scores = segmenter.boxes(shown, segmenter._read(words))[1]
    return float(scores.median())


def test_a_place_is_as_likely_as_the_likeliest_box_whose_mask_it_is_in(segmenter):
    assert isinstance(segmenter, BoxMasks)
    shown, words = frames(), ["The red ball", "sky."]
    threshold = middle_score(segmenter, shown[0], words)
    made = segmenter(shown, words, threshold)
    for frame, likely in zip(shown, made, strict=True):
        scores, masks = by_hand(segmenter, frame, ["the red ball", "sky"], threshold)
        assert 1 < len(scores) < 12
        expected = (scores[:, None, None] * masks).amax(0)
        assert expected.any()
        assert_close(likely[0], expected)


def test_both_ways_are_segmenters_and_the_folder_says_what_it_is_for(segmenter, folder, capsys):
    assert isinstance(segmenter, WordSegmenter)
    assert isinstance(WordMasks(None, None, None, torch.device("cpu")), WordSegmenter)
    assert run(["models", "info", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"can": "recast mask --words, and no edits"}
    with pytest.raises(WeightsError, match="this model is for recast mask --words"):
        family_of(ModelFolder.found(folder))


def test_below_the_threshold_the_likeliest_box_alone_is_drawn(segmenter):
    shown = frames(1)
    scores, masks = by_hand(segmenter, shown[0], ["ball"], 0.0)
    assert_close(segmenter(shown, ["ball"], 1.0)[0, 0], scores.max() * masks[scores.argmax()])


def test_words_that_are_too_many_are_refused(segmenter):
    with pytest.raises(RequestError, match="come to 82 tokens and the detector reads 48"):
        segmenter(frames(1), ["the red ball"] * 20, 0.3)


def test_the_command_marks_every_frame_or_follows_one(folder, segmenter, tmp_path):
    clip = clip_folder(tmp_path / "clip", frames=3, size=(40, 52))
    shown = read(opened(clip), Window()).frames
    share = middle_score(segmenter, shown[0], ["red ball"])
    likely = segmenter(shown, ["red ball"], share)
    asked = ["mask", str(clip), "--words", "red ball", "--likely", repr(share), "-m", str(folder), "-q"]
    assert run([*asked, "-o", str(tmp_path / "each.mkv")]) == 0
    assert torch.equal(written(tmp_path / "each.mkv"), likely > share)
    assert run([*asked, "--frame", "1", "-o", str(tmp_path / "followed.mkv")]) == 0
    expected = followed_still(shown, (likely > share)[1, 0].float(), 1).masks > 0.5
    assert torch.equal(written(tmp_path / "followed.mkv"), expected)
    assert not torch.equal(*(written(tmp_path / f"{name}.mkv") for name in ("each", "followed")))


def written(path):
    return read(opened(path), Window()).frames[:, :1] > 127


def test_a_frame_that_is_not_there_is_said(folder, tmp_path, capsys):
    clip = clip_folder(tmp_path / "clip", frames=2)
    asked = ["mask", str(clip), "-o", str(tmp_path / "mask.mkv"), "--words", "dog", "--frame", "2"]
    assert run([*asked, "-m", str(folder)]) == 2
    assert "there is no frame 2: the clip has 2" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["detector", "segmenter", "tokenizer"])
def test_a_part_that_is_missing_is_named(part, tmp_path):
    path = write_grounded_sam(tmp_path)
    (path / part / ("tokenizer_config.json" if part == "tokenizer" else "config.json")).unlink()
    with pytest.raises(WeightsError, match=f"{part} has no "):
        segmenter_of(ModelFolder.found(path), torch.device("cpu"))
