"""Every bad model folder gets its one line, and none runs code."""

from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors.torch import load_file, save_file
from weights_model import WEIGHTS, kind_of, write_model

from recast.errors import WeightsError
from recast.model.folder import MODELS, ModelFolder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_model(tmp_path)
    return tmp_path


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(
        WeightsError,
        match=rf"'poket' is neither a known model nor a folder; say one of {', '.join(MODELS)}, or a folder",
    ):
        ModelFolder.found("poket")
    with pytest.raises(WeightsError, match=r"; did you mean gen1-zero\?$"):
        ModelFolder.found("gen1-zer0")


def test_a_file_is_no_model(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"recast.json' is a file, not a model folder; say one of pocket"):
        ModelFolder.found(path / "recast.json")


def test_a_folder_without_an_index_is_no_model_and_says_so(
    path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("holiday")
    (other / "beach.mp4").touch()
    lacks = r"' has no model_index.json, which says what a model is made of, so it is no model folder; say "
    with pytest.raises(WeightsError, match=f"vae{lacks}the folder around it, {path}$"):
        ModelFolder.found(path / "vae")
    with pytest.raises(WeightsError, match=f"{other}{lacks}one of pocket, pocket-words, or a folder in diffusers'"):
        ModelFolder.found(other)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (
            '{"short_sides": 64}',
            r"recast.json, short_sides: Unexpected.*entries are short_side, trained_side, aspect, structures",
        ),
        ('{"short_side": 2}', r"recast.json, short_side: Input should be greater than or equal to 8"),
        (
            '{"structures": ["smell"]}',
            r"recast.json, structures.0: Input should be 'depth', 'edges', 'lineart', 'hed', 'pose' or 'motion'",
        ),
        ('{"short_side": ', r"recast.json is damaged"),
        ("[1]", r"recast.json is damaged"),
    ],
)
def test_bad_facts_are_named(path: Path, facts: str, line: str) -> None:
    (path / "recast.json").write_text(facts)
    with pytest.raises(WeightsError, match=line):
        ModelFolder.found(path)


def test_a_missing_component_says_what_is_there(path: Path) -> None:
    folder = ModelFolder.found(path)
    assert folder.has("vae")
    assert not folder.has("prior")
    with pytest.raises(
        WeightsError, match=r"the model has no prior; it has image_encoder, model_index.json, .*vae; get the whole"
    ):
        folder.component("prior")


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_missing_configuration_is_named(path: Path, name: str) -> None:
    (path / name / "config.json").unlink()
    with pytest.raises(WeightsError, match=rf"{name} has no config.json; it has .*safetensors"):
        ModelFolder.found(path).network(name, kind_of(name))


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.ckpt", "model.pt", "model.PTH"])
def test_pickles_are_refused_unread(path: Path, pickle: str) -> None:
    file = path / "vae" / WEIGHTS["vae"]
    file.rename(file.with_name(pickle))
    with pytest.raises(
        WeightsError, match=rf"vae has {pickle}, which can run code when read; convert it to safetensors"
    ):
        ModelFolder.found(path).component("vae")


def test_no_weights_at_all_is_named(path: Path) -> None:
    (path / "vae" / WEIGHTS["vae"]).unlink()
    with pytest.raises(WeightsError, match=r"vae has no safetensors file; it has config.json"):
        ModelFolder.found(path).component("vae")


@pytest.mark.parametrize("size", [0, 5, 100, -7])
def test_cut_off_weights_are_refused(path: Path, size: int) -> None:
    file = path / "vae" / WEIGHTS["vae"]
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(
        WeightsError, match=r"vae: diffusion_pytorch_model.safetensors \(\d+ bytes\) is no whole safetensors file"
    ):
        ModelFolder.found(path).network("vae", AutoencoderKL)


def test_a_pickle_under_a_safe_name_is_refused_unread(path: Path) -> None:
    canary = path / "canary"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (canary,))

    torch.save(Evil(), path / "vae" / WEIGHTS["vae"])
    with pytest.raises(WeightsError, match="is no whole safetensors file"):
        ModelFolder.found(path).network("vae", AutoencoderKL)
    assert not canary.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_not_finite_are_counted_and_named(path: Path, name: str, value: float) -> None:
    file = path / name / WEIGHTS[name]
    held = load_file(file)
    spoilt = sorted(held)[3 % len(held)]
    held[spoilt].flatten()[0] = value
    save_file(held, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"{name}: 1 of \d+ values of {spoilt} are NaN or infinite"):
        ModelFolder.found(path).network(name, kind_of(name))


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_missing_weight_is_named_not_drawn_at_random(path: Path, name: str) -> None:
    file = path / name / WEIGHTS[name]
    held = load_file(file)
    lost = sorted(held)[-1]
    save_file({key: tensor for key, tensor in held.items() if key != lost}, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"{name} lacks 1 weights of its network, such as {lost}"):
        ModelFolder.found(path).network(name, kind_of(name))


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_another_shape_are_refused(path: Path, name: str) -> None:
    file = path / name / WEIGHTS[name]
    held = load_file(file)
    turned = max(held, key=lambda key: held[key].ndim)
    save_file(held | {turned: torch.zeros(1, 2, 3)}, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=rf"{name} cannot be read: .*; its files do not fit each other"):
        ModelFolder.found(path).network(name, kind_of(name))
