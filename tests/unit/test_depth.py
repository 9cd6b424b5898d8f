"""Depth through the real estimators: folders in their published layout, tiny and random."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
    GLPNConfig,
    GLPNForDepthEstimation,
    PreTrainedModel,
)

from pose_folder import add_pose
from recast.conditions import EXTRACTORS, Extractor
from recast.conditions.depth import DepthExtractor, aligned, inverse, normalized, standardized
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.networks.depth_unet import DepthUNet, DepthUNetConfig
from recast.types import Clip, Kind

CPU = torch.device("cpu")
MEAN_STD = {"do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def small_dpt() -> PreTrainedModel:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
    neck = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8, "backbone_out_indices": [0, 1, 2, 3]}
    return DPTForDepthEstimation(DPTConfig(**sizes, **neck, image_size=64, patch_size=16, is_hybrid=False))


def small_depth_anything() -> PreTrainedModel:
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_ratio": 1}
    stages = {"out_features": [f"stage{i}" for i in (1, 2, 3, 4)], "reshape_hidden_states": False}
    seen = Dinov2Config(**sizes, **stages, image_size=28, patch_size=14, apply_layernorm=True)
    neck = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 8, "head_hidden_size": 8}
    return DepthAnythingForDepthEstimation(DepthAnythingConfig(backbone_config=seen, **neck, reassemble_hidden_size=16))


def small_glpn() -> PreTrainedModel:
    sizes = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}
    return GLPNForDepthEstimation(GLPNConfig(**sizes, decoder_hidden_size=8, max_depth=10))


# As published: Intel's DPT-Large, Depth Anything V2, and GLPN on KITTI, at other sizes.
ESTIMATORS = {
    "dpt": (
        small_dpt,
        {"image_processor_type": "DPTImageProcessor", "size": {"height": 64, "width": 64}, "resample": 2}
        | {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    ),
    "dpt_of_2022": (small_dpt, {"feature_extractor_type": "DPTFeatureExtractor", "size": 64, "resample": 2} | MEAN_STD),
    "depth_anything": (
        small_depth_anything,
        {"image_processor_type": "DPTImageProcessor", "size": {"height": 56, "width": 56}, "resample": 3}
        | {"keep_aspect_ratio": True, "ensure_multiple_of": 14}
        | MEAN_STD,
    ),
    "glpn": (
        small_glpn,
        {"feature_extractor_type": "GLPNFeatureExtractor", "size_divisor": 32, "resample": 2, "do_normalize": False},
    ),
}


@pytest.fixture(scope="module", params=ESTIMATORS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    torch.manual_seed(0)
    build, processor = ESTIMATORS[request.param]
    path = tmp_path_factory.mktemp(request.param)
    (path / "model_index.json").write_text("{}")
    network = build()
    # Fresh weights are so small that every map is flat, and the last ReLU often cuts off what is left.
    for name, tensor in network.named_parameters():
        if tensor.ndim > 1:
            torch.nn.init.normal_(tensor, std=tensor[0].numel() ** -0.5)
        if name in {"head.head.4.bias", "head.conv3.bias"}:
            torch.nn.init.constant_(tensor, 2.0)
    network.half().save_pretrained(path / "depth_estimator")
    (path / "depth_estimator" / "preprocessor_config.json").write_text(
        json.dumps({"do_resize": True, "do_rescale": True} | processor)
    )
    return ModelFolder.found(path)


@pytest.fixture(scope="module")
def clip() -> Clip:
    rng = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(5, 3, 4, 6, generator=rng)
    frames = torch.nn.functional.interpolate(coarse, size=(40, 72), mode="bilinear", align_corners=False)
    return Clip(frames.to(torch.uint8), Fraction(24))


def test_depth_is_a_map_a_frame_of_the_clips_size(folder: ModelFolder, clip: Clip) -> None:
    structure = EXTRACTORS["depth"](folder, CPU)(clip)
    assert structure.kind == Kind.DEPTH
    assert structure.maps.shape == (5, 1, 40, 72)
    assert structure.maps.dtype == torch.float32
    assert not structure.maps.requires_grad
    assert_close(torch.stack([structure.maps.min(), structure.maps.max()]), torch.tensor([0.0, 1.0]))


def test_metres_are_inverted_and_inverse_depth_is_not(folder: ModelFolder, clip: Clip) -> None:
    extractor = DepthExtractor.opened(folder, CPU)
    assert extractor.metric == (extractor.network.config.model_type == "glpn")
    predicted = extractor.predicted(clip.frames)
    wanted = normalized(aligned(inverse(predicted) if extractor.metric else standardized(predicted)))
    assert_close(extractor(clip).maps, wanted)


def test_chunks_change_nothing(folder: ModelFolder, clip: Clip) -> None:
    opened = DepthExtractor.opened(folder, CPU)
    single, all_at_once = (
        DepthExtractor(opened.network, opened.processor, opened.metric, CPU, chunk)(clip).maps for chunk in (1, 8)
    )
    assert_close(single, all_at_once, atol=1e-3, rtol=0)


@pytest.mark.parametrize("chunk", [1, 3, 4])
def test_chunks_change_nothing_for_a_network_that_sees_motion(chunk: int) -> None:
    """Frames around a pass are shown with it, as far as answers reach."""
    torch.manual_seed(0)
    network = DepthUNet(DepthUNetConfig(widths=(8, 8), over_time=True)).eval()
    for block in [*network.down, *network.up]:
        block.mixing.data += torch.randn_like(block.mixing)
    processor = DPTImageProcessor(do_resize=False, do_normalize=False)
    frames = torch.randint(0, 256, (11, 3, 16, 24), dtype=torch.uint8)
    reach = network.config.reach
    assert reach == 3
    in_parts = DepthExtractor(network, processor, metric=False, device=CPU, chunk=chunk, reach=reach)
    whole = DepthExtractor(network, processor, metric=False, device=CPU, chunk=11)
    assert_close(in_parts(Clip(frames, Fraction(8))).maps, whole(Clip(frames, Fraction(8))).maps)
    blind = DepthExtractor(network, processor, metric=False, device=CPU, chunk=chunk)
    assert (blind(Clip(frames, Fraction(8))).maps - whole(Clip(frames, Fraction(8))).maps).abs().max() > 0.01


def test_a_single_frame_works(folder: ModelFolder, clip: Clip) -> None:
    alone = EXTRACTORS["depth"](folder, CPU)(Clip(clip.frames[:1], clip.fps))
    assert alone.maps.shape == (1, 1, 40, 72)


def normalizing(extractor: DepthExtractor) -> tuple[list[float], list[float]]:
    processor = extractor.processor
    return (processor.image_mean, processor.image_std) if processor.do_normalize else ([0.0] * 3, [1.0] * 3)


def test_prediction_is_the_networks_own(folder: ModelFolder, clip: Clip) -> None:
    """At the network's size, the extractor's prediction is the network on its own processor's pixels."""
    extractor = DepthExtractor.opened(folder, CPU)
    size = {"dpt": 64, "depth_anything": 56, "glpn": 64}[extractor.network.config.model_type]
    square = torch.nn.functional.interpolate(clip.frames.float(), size=(size, size)).to(torch.uint8)
    mean, std = (torch.tensor(value)[:, None, None] for value in normalizing(extractor))
    with torch.no_grad():
        wanted = extractor.network((square / 255 - mean) / std).predicted_depth
    assert_close(extractor.predicted(square)[:, 0], wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("unit", ["inverse", "metres"])
def test_the_models_own_facts_overrule_the_estimators_kind(folder: ModelFolder, unit: str) -> None:
    path = folder.path / "recast.json"
    path.write_text(json.dumps({"depth_unit": unit}))
    assert DepthExtractor.opened(ModelFolder.found(folder.path), CPU).metric == (unit == "metres")
    path.unlink()


def test_metric_depth_anything_is_known_by_its_configuration(tmp_path: Path) -> None:
    config = small_depth_anything().config
    config.depth_estimation_type, config.max_depth = "metric", 20
    DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path / "depth_estimator")
    (tmp_path / "model_index.json").write_text("{}")
    processor = ESTIMATORS["depth_anything"][1]
    (tmp_path / "depth_estimator" / "preprocessor_config.json").write_text(json.dumps(processor))
    assert DepthExtractor.opened(ModelFolder.found(tmp_path), CPU).metric


def test_a_model_without_depth_says_so(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"the model has no depth_estimator; it has model_index.json"):
        EXTRACTORS["depth"](ModelFolder.found(tmp_path), CPU)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_keeps_the_protocol(folder: ModelFolder, clip: Clip, name: str, tmp_path: Path) -> None:
    extractor = EXTRACTORS[name](replace(folder, path=add_pose(tmp_path)) if name == "pose" else folder, CPU)
    assert isinstance(extractor, Extractor)
    structure = extractor(clip)
    assert structure.kind == Kind(name)
    assert structure.maps.shape == (len(clip), structure.kind.channels, *clip.size)
    assert structure.maps.device == CPU
    assert (structure.maps >= 0).all()
    assert (structure.maps <= 1).all()
