"""Model folders: what is found in them, and what is loaded from them."""

import json
import socket
from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.utils import logging as diffusers_logging
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging
from weights_model import WEIGHTS, kind_of, small_vae, write_model

from recast.errors import WeightsError
from recast.model.folder import COMPONENTS, MODELS, ModelFolder
from recast.model.metadata import ModelMetadata
from recast.types import Kind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_model(tmp_path)
    return tmp_path


def test_facts_are_read_and_optional(path: Path) -> None:
    assert ModelFolder.found(path).metadata == ModelMetadata(
        short_side=128, structures=("depth", "edges"), embedding_norm="unit"
    )
    (path / "recast.json").unlink()
    assert ModelFolder.found(str(path)).metadata == ModelMetadata()


def test_the_kinds_of_structure_in_facts_are_those_of_the_types() -> None:
    assert ModelMetadata(structures=tuple(kind.value for kind in Kind)).structures == tuple(Kind)


@pytest.mark.parametrize("name", WEIGHTS)
def test_half_precision_files_load_as_fp32_in_evaluation_mode(path: Path, name: str) -> None:
    file = path / name / WEIGHTS[name]
    halved = {key: tensor.half() for key, tensor in load_file(file).items()}
    save_file(halved, file, metadata={"format": "pt"})
    network = ModelFolder.found(path).network(name, kind_of(name))
    assert not network.training
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}
    assert all(torch.equal(network.state_dict()[key], tensor.float()) for key, tensor in halved.items())


@pytest.mark.parametrize("name", ["vae", "image_encoder"])
def test_a_folder_with_only_the_fp16_variant_loads(path: Path, name: str) -> None:
    file = path / name / WEIGHTS[name]
    file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    assert ModelFolder.found(path).network(name, kind_of(name))


def test_weights_in_several_shards_load(path: Path) -> None:
    vae = small_vae()
    vae.save_pretrained(path / "sharded", max_shard_size="20KB")
    assert len(list((path / "sharded").glob("*.safetensors"))) > 1
    (path / "vae").rename(path / "old")
    (path / "sharded").rename(path / "vae")
    loaded = ModelFolder.found(path).network("vae", AutoencoderKL)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), vae.parameters(), strict=True))


def test_a_scheduler_comes_with_its_settings(path: Path) -> None:
    assert ModelFolder.found(path).part("scheduler", DDIMScheduler).config.prediction_type == "v_prediction"


def test_loading_is_silent_and_never_opens_a_socket(
    path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_args: object, **_words: object) -> None:
        raise AssertionError("reached for the network")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    talkers = (diffusers_logging, transformers_logging)
    before = [(talker.get_verbosity(), talker.is_progress_bar_enabled()) for talker in talkers]
    folder = ModelFolder.found(path)
    for name in WEIGHTS:
        folder.network(name, kind_of(name))
    folder.part("scheduler", DDIMScheduler)
    assert capfd.readouterr() == ("", "")
    assert [(talker.get_verbosity(), talker.is_progress_bar_enabled()) for talker in talkers] == before


def test_known_words_are_read_from_inside_the_folder_only(path: Path) -> None:
    assert ModelFolder.found(path).known_words == frozenset()
    (path / "recast.json").write_text('{"known_words": "words.txt"}')
    with pytest.raises(WeightsError, match=r"recast.json names 'words.txt', which is not there"):
        _ = ModelFolder.found(path).known_words
    (path / "words.txt").write_text("horse\nsnow\n")
    assert ModelFolder.found(path).known_words == {"horse", "snow"}
    (path / "recast.json").write_text(json.dumps({"known_words": f"../{path.name}/../{path.name}.txt"}))
    path.with_suffix(".txt").write_text("secret")
    with pytest.raises(WeightsError, match="outside of the folder"):
        _ = ModelFolder.found(path).known_words


def test_components_and_models_are_listed_in_order() -> None:
    assert list(COMPONENTS) == sorted(COMPONENTS)
    assert "pocket" in MODELS
