"""Sets of edits against sets of sources: by VideoMAE of clips, by DINOv2 of frames, and the inception score."""

import json
from math import exp, log

import pytest
import torch
from transformers import (
    Dinov2Config,
    Dinov2Model,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    VideoMAEModel,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

from recast.cli.app import run
from recast.errors import RequestError
from recast.evaluation.metrics.frechet import frechet_distance
from recast.evaluation.metrics.inception_score import inception_score
from recast.evaluation.sets import set_scores
from recast.video.read import Window, opened, read
from study_films import film

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SQUARE = {"height": 32, "width": 32}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for number in range(2):
        film(folder / "sources" / f"{number}.mp4", number)
        film(folder / "edits" / f"{number}.mp4", 10 + number)
    return folder


def written(network, folder):
    config = VideoMAEConfig(**SMALL, image_size=32, patch_size=16, num_frames=4, tubelet_size=2, num_labels=5)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        made = network(config).eval()
    made.save_pretrained(folder)
    processor = VideoMAEImageProcessorPil(do_center_crop=False, size=SQUARE)
    processor.save_pretrained(folder)
    return made, processor


def seen(folder, processor):
    """Each clip of a folder as VideoMAE sees it."""
    for path in sorted(folder.iterdir()):
        frames = read(opened(path), Window()).frames
        picked = [frames[i].numpy() for i in (0, 1, 1, 2)]  # 4 of 3 frames, evenly: 0, .67, 1.33, 2
        pixels = processor(picked, input_data_format="channels_first", return_tensors="pt")["pixel_values"]
        yield pixels.reshape(1, 4, 3, 32, 32)


@pytest.mark.parametrize("network", [VideoMAEModel, VideoMAEForVideoClassification])
def test_videomae_looks_at_clips_and_its_classifier_gives_the_inception_score(network, clips, tmp_path):
    made, processor = written(network, tmp_path / "mae")
    classifies = network is VideoMAEForVideoClassification
    inner = made.videomae if classifies else made
    sets, logits = [], []
    with torch.no_grad():
        for name in ("edits", "sources"):
            pixels = list(seen(clips / name, processor))
            pooled = torch.cat([inner(each).last_hidden_state.mean(1) for each in pixels])
            sets.append(made.fc_norm(pooled) if classifies and made.fc_norm is not None else pooled)
            logits += [made(each).logits for each in pixels] if classifies and name == "edits" else []
    paths = [sorted((clips / name).iterdir()) for name in ("sources", "edits")]
    found = set_scores(*paths, str(tmp_path / "mae"), "cpu", lambda *_: None)
    assert (found.by, found.vectors) == ("mae", (2, 2))
    assert found.figures["frechet"] == pytest.approx(frechet_distance(*sets), rel=1e-3)
    assert ("inception" in found.figures) is classifies
    if classifies:
        assert found.figures["inception"] == pytest.approx(inception_score(torch.cat(logits).softmax(1)), rel=1e-4)


def test_the_command_compares_folders_by_frames_of_dinov2(clips, tmp_path, capsys):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        Dinov2Model(
            Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28)
        ).save_pretrained(tmp_path / "dino")
    BitImageProcessorPil(do_center_crop=False, size={"height": 28, "width": 28}).save_pretrained(tmp_path / "dino")
    files = [
        "--source",
        str(clips / "sources"),
        "--edited",
        str(clips / "edits"),
        "--sets",
        str(tmp_path / "dino"),
        "-q",
    ]
    assert run(["evaluate", *files, "--json"]) == 0
    sets = json.loads(capsys.readouterr().out)["sets"]
    assert (sets["by"], sets["vectors"], set(sets["measures"])) == ("dino", [6, 6], {"frechet", "kernel"})
    paths = sorted((clips / "edits").iterdir())
    same = set_scores(paths, paths, str(tmp_path / "dino"), "cpu", lambda *_: None)
    assert same.figures["frechet"] == pytest.approx(0, abs=1e-6)
    one = [str(clips / name / "0.mp4") for name in ("sources", "edits")]
    assert run(["evaluate", "--source", one[0], "--edited", one[1], "--sets", str(tmp_path / "dino"), "-q"]) == 2
    assert "--sets compares folders" in capsys.readouterr().err
    written(VideoMAEModel, tmp_path / "mae")
    with pytest.raises(RequestError, match="mae gives 1 and 2 vectors"):
        set_scores(paths, paths[:1], str(tmp_path / "mae"), "cpu", lambda *_: None)


def test_the_inception_score_is_one_for_clips_alike_and_the_number_of_classes_for_sure_ones():
    assert inception_score(torch.tensor([[0.2, 0.3, 0.5]]).expand(4, 3)) == pytest.approx(1)
    assert inception_score(torch.eye(6)) == pytest.approx(6)
    p, q = 0.9, 0.6
    mean = (p + q) / 2
    kl = [each * log(each / mean) + (1 - each) * log((1 - each) / (1 - mean)) for each in (p, q)]
    assert inception_score(torch.tensor([[p, 1 - p], [q, 1 - q]])) == pytest.approx(exp(sum(kl) / 2))
