"""An edit in a file beside its source: what is measured, by which network, and what is refused."""

import json
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

import recast
from recast.cli.app import run
from recast.errors import RequestError, ShapeError
from recast.evaluation import CLIP, METRICS, PAIRED
from recast.evaluation.judge.judge import Judge
from recast.evaluation.pairs import file_pairs
from recast.types import Clip
from recast.world import rendered, sampled

ROWS, COLUMNS, FRAMES = 48, 64, 3
PROMPT, SOURCE_PROMPT = "a red dog in the snow", "a dog"


def _frames(**looks):
    footage = rendered(sampled(30_000_123, **looks), FRAMES, ROWS, COLUMNS)
    return torch.from_numpy(footage.frames).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def clips():
    source = Clip(_frames(), Fraction(10))
    inverted = source.frames.clone()
    inverted[..., :32] = 255 - inverted[..., :32]
    return source, replace(source, frames=inverted)


def _written(path, frames, codec="libx264", pixels="yuv420p"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = frames.shape[-2], frames.shape[-1], pixels
        for frame in frames.permute(0, 2, 3, 1).numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def _copied_without_loss(path, target):
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        # Where chroma lies is part of what the numbers mean; H.264 says so by default, FFV1 has to be told.
        stream = container.add_stream("ffv1", rate=10, options={"chroma_sample_location": "left"})
        given = source.streams.video[0]
        stream.height, stream.width, stream.pix_fmt = given.height, given.width, given.pix_fmt
        for frame in source.decode(given):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


@pytest.fixture(scope="module")
def files(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    source, edited = (
        _written(folder / f"{name}.mp4", clip.frames) for name, clip in zip(("a", "b"), clips, strict=True)
    )
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    return source, edited, folder / "mask.png"


@pytest.fixture(scope="module")
def scores(files):
    source, edited, mask = files
    return recast.evaluate(source, edited, prompt=PROMPT, source_prompt=SOURCE_PROMPT, mask=mask)


def test_everything_is_measured_and_named(scores):
    assert scores.figures.edit.keys() == CLIP.keys() | PAIRED.keys() - {"kept_lpips"}  # which needs a folder
    assert scores.figures.source.keys() == CLIP.keys() | {"frame_accuracy"}
    assert scores.figures.by.keys() == scores.figures.edit.keys() - {"pixels", "flicker", "sharpness"} - _kept(scores)
    assert scores.figures.by["frames"] == Judge.name
    assert scores.figures.by["prompt"] == scores.figures.by["direction"] == "CLIP pair of pocket"
    assert (scores.frames, scores.size, scores.notes) == (FRAMES, (ROWS, COLUMNS), ())
    printed = scores.to_json()["measures"]["warp"]
    assert (printed["edit"], printed["by"], printed["unit"]) == (scores["warp"], "DIS", "1e-3")
    with pytest.raises(RequestError, match="'magic'"):
        scores["magic"]


def _kept(scores):
    return {name for name in scores.figures.edit if name.startswith("kept_")}


def test_metrics_do_not_change_when_files_are_encoded_again_without_loss(files, scores, tmp_path):
    source, edited, mask = files
    again = [_copied_without_loss(path, tmp_path / f"{path.stem}.mkv") for path in (source, edited)]
    assert again[1].read_bytes() != edited.read_bytes()
    asked = {"prompt": PROMPT, "source_prompt": SOURCE_PROMPT, "mask": mask}
    assert recast.evaluate(*again, **asked).figures == scores.figures


def test_the_source_as_its_own_edit(clips, files):
    source, _ = clips
    own = recast.evaluate(source, source, mask=files[2])
    expected = {"motion": 0, "depth_agreement": 1, "edge_agreement": 1, "structure": 0}
    expected |= {"kept_psnr": 99, "kept_ssim": 1, "kept_de76": 0, "kept_de2000": 0}
    assert {name: own[name] for name in expected} == pytest.approx(expected, abs=1e-5)
    assert {name: own[name] for name in own.figures.source} == own.figures.source
    assert "prompt" not in own.figures.edit


def test_the_mask_says_what_was_to_stay(clips, files):
    source, edited = clips
    inside, outside = (recast.evaluate(source, edited, mask=files[2], edit=side) for side in ("inside", "outside"))
    assert inside["kept_psnr"] == 99
    assert inside["kept_ssim"] == pytest.approx(1)
    assert outside["kept_psnr"] < 20


def test_a_still_clip_is_measured_as_still_and_one_frame_without_time(clips):
    source, edited = clips
    still = replace(edited, frames=edited.frames[:1].repeat(FRAMES, 1, 1, 1))
    figures = recast.evaluate(source, still).figures.edit
    assert {name: figures[name] for name in ("frames", "frame_pairs", "flicker")} == pytest.approx(
        {"frames": 1, "frame_pairs": 1, "flicker": 0}, abs=1e-6
    )
    one = recast.evaluate(source, edited, max_frames=1).figures.edit
    assert one.keys() == {"sharpness", "depth_agreement", "edge_agreement", "structure"}


def test_clips_that_do_not_fit_are_refused_with_both_numbers(clips, files, capsys):
    source, edited = clips
    shorter = replace(edited, frames=edited.frames[:2])
    with pytest.raises(ShapeError, match=r"3 frames and the edit 2.*--max-frames 2"):
        recast.evaluate(source, shorter)
    assert recast.evaluate(source, shorter, max_frames=2).frames == 2
    assert run(["evaluate", "--source", str(files[0])]) == 2
    assert "give --edited too" in capsys.readouterr().err
    assert run(["evaluate", "--worlds", "--source", str(files[0]), "--edited", str(files[1])]) == 2
    assert "another command" in capsys.readouterr().err
    for wrong in ({"strength": 1}, {"source_prompt": "a dog"}, {"edit": "above"}):
        with pytest.raises(RequestError):
            recast.evaluate(source, edited, **wrong)


def test_different_sizes_are_compared_at_the_smaller_with_a_note(clips):
    source, edited = clips
    small = replace(edited, frames=edited.frames[..., ::2, ::2].contiguous())
    scores = recast.evaluate(source, small, max_frames=1)
    assert scores.size == (ROWS // 2, COLUMNS // 2)
    assert scores.notes == ("the source is 64x48 and the edit 32x24: compared at 32x24",)


def test_the_command_prints_a_table_with_the_networks_and_what_words_they_miss(files, capsys):
    source, edited, _ = files
    asked = ["evaluate", "--source", str(source), "--edited", str(edited), "-p", "a zeppelin", "-q"]
    assert run([*asked, "--max-frames", "1"]) == 0
    printed = capsys.readouterr().out
    assert all(METRICS[name].heading in printed for name in ("prompt", "structure", "depth_agreement"))
    assert "CLIP pair of pocket does not know zeppelin" in printed
    assert "1 clip, 1 frames at 64x48" in printed


def test_a_folder_is_measured_by_names(files, tmp_path, capsys):
    source, edited, _ = files
    for kind, file in (("sources", source), ("edits", edited)):
        (tmp_path / kind).mkdir()
        for name in ("one", "two"):
            (tmp_path / kind / f"{name}.mp4").write_bytes(file.read_bytes())
    (tmp_path / "edits" / "one.json").write_text("{}")
    asked = ["evaluate", "--source", str(tmp_path / "sources"), "--edited", str(tmp_path / "edits")]
    assert run([*asked, "-q", "--json", "--max-frames", "1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [each["edited"].rpartition("/")[2] for each in printed["edits"]] == ["one.mp4", "two.mp4"]
    assert printed["mean"]["structure"]["edit"]["count"] == printed["clips"] == 2
    assert printed["mean"]["structure"]["edit"]["value"] == printed["edits"][0]["measures"]["structure"]["edit"]
    (tmp_path / "edits" / "three.mp4").write_bytes(b"")
    with pytest.raises(RequestError, match="three"):
        file_pairs(tmp_path / "sources", tmp_path / "edits", None)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompt": " "}, "a prompt without words"),
        ({"prompt": "a dog", "source_prompt": ""}, "a prompt without words"),
        ({"prompt": "a dog", "ask_model": "seer"}, "seer is a model at an endpoint; name that too"),
    ],
)
def test_what_would_measure_nothing_is_refused(asked, message, clips):
    with pytest.raises(RequestError, match=message):
        recast.evaluate(*clips, **asked)
