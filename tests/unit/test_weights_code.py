"""No configuration of a model folder chooses code: a closed list of answers, at any depth, in any of its files."""

import json
from pathlib import Path

import pytest
from transformers import CLIPVisionModelWithProjection, modeling_utils
from weights_model import kind_of, write_model

from recast.curation.captions import Captioner
from recast.errors import WeightsError
from recast.model.configs import check_configs
from recast.model.folder import ModelFolder
from tiny_folder import written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_model(tmp_path)
    return tmp_path


@pytest.fixture
def loads(monkeypatch) -> list[str]:
    """What transformers' kernel loader is asked for."""
    asked: list[str] = []
    monkeypatch.setattr(modeling_utils, "lazy_import_flash_attention", lambda name, **_: asked.append(name))
    return asked


def say(file: Path, **more: object) -> None:
    file.write_text(json.dumps((json.loads(file.read_text()) if file.exists() else {}) | more))


def test_this_version_would_load_a_kernel_by_the_configuration_alone(path: Path, loads: list[str]) -> None:
    say(path / "image_encoder" / "config.json", attn_implementation="someone/kernel")
    CLIPVisionModelWithProjection.from_pretrained(path / "image_encoder", local_files_only=True)
    assert set(loads) == {"someone/kernel"}


@pytest.mark.parametrize(
    "entries",
    [
        {"attn_implementation": "someone/kernel"},
        {"attn_implementation": "kernels-community/flash-attn"},
        {"attn_implementation": "flash_attention_2"},
        {"attn_implementation": "paged|sdpa"},
        {"attn_implementation": {"": "sdpa", "vision_config": "someone/kernel"}},
        {"attn_implementation": ["someone/kernel"]},
        {"_attn_implementation": "someone/kernel"},
        {"_attn_implementation_internal": "someone/kernel"},
        {"experts_implementation": "someone/kernel"},
        {"vision_config": {"attn_implementation": "someone/kernel"}},
        {"backbone_config": {"text_config": {"_attn_implementation": "someone/kernel"}}},
        {"per_layer_config": [{"attn_implementation": "someone/kernel"}]},
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"quantization_config": {"quant_method": "fp8"}},
        {"backbone": "someone/backbone"},
        {"use_pretrained_backbone": True},
        {"backbone_config": {"model_type": "timm_backbone"}},
        {"transformers_weights": "adapter_model.bin"},
        {"configuration_files": ["config.4.0.0.json"]},
        {"use_kernels": True},
        {"kernel_config": {"x": "someone/kernel"}},
    ],
)
def test_keys_that_choose_code_are_refused_in_one_line(path: Path, loads: list[str], entries: dict) -> None:
    say(path / "image_encoder" / "config.json", **entries)
    with pytest.raises(WeightsError, match=r"image_encoder asks to run code from elsewhere \(config.json: ") as caught:
        ModelFolder.found(path).network("image_encoder", kind_of("image_encoder"))
    assert "\n" not in str(caught.value)
    assert not loads


@pytest.mark.parametrize(
    ("component", "file"),
    [
        ("image_encoder", "preprocessor_config.json"),
        ("image_encoder", "generation_config.json"),
        ("image_encoder", "tokenizer_config.json"),
        ("image_encoder", "config.5.0.0.json"),
        ("scheduler", "scheduler_config.json"),
        ("vae", "config.json"),
    ],
)
def test_every_configuration_file_counts(path: Path, component: str, file: str) -> None:
    say(path / component / file, auto_map={"AutoProcessor": "evil.Processor"})
    with pytest.raises(WeightsError, match=rf"{component} asks to run code from elsewhere \({file}: auto_map is"):
        ModelFolder.found(path).component(component)


@pytest.mark.parametrize("name", ["evil.Processor", "someone/repo--evil.Processor", "AutoModel", 7])
def test_an_image_processor_is_one_of_the_library(path: Path, name: object) -> None:
    say(path / "image_encoder" / "preprocessor_config.json", image_processor_type=name)
    with pytest.raises(WeightsError, match="image_processor_type is"):
        ModelFolder.found(path).component("image_encoder")


def test_adapters_of_other_models_are_refused(path: Path) -> None:
    say(path / "image_encoder" / "adapter_config.json", base_model_name_or_path="/elsewhere")
    with pytest.raises(WeightsError, match="image_encoder is an adapter of another model"):
        ModelFolder.found(path).component("image_encoder")


@pytest.mark.parametrize("implementation", ["eager", "sdpa", None])
def test_the_library_s_own_attention_may_be_said(path: Path, loads: list[str], implementation: str | None) -> None:
    say(path / "image_encoder" / "config.json", attn_implementation=implementation, quantization_config=None)
    network = ModelFolder.found(path).network("image_encoder", CLIPVisionModelWithProjection)
    assert network.config._attn_implementation == (implementation or "sdpa")
    assert not loads


def test_a_captioner_is_checked_as_well(path: Path) -> None:
    say(path / "image_encoder" / "config.json", attn_implementation="someone/kernel")
    with pytest.raises(WeightsError, match="the captioner asks to run code from elsewhere"):
        Captioner.opened(str(path / "image_encoder"))


def test_whole_folders_that_the_libraries_wrote_are_harmless(tmp_path: Path) -> None:
    for component in sorted(child for child in written(tmp_path).iterdir() if child.is_dir()):
        check_configs(component.name, component)
    pocket = ModelFolder.found("pocket").path
    for component in sorted(child for child in pocket.iterdir() if child.is_dir()):
        check_configs(component.name, component)
