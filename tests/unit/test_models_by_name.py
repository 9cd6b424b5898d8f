"""`recast models` brings a model of the table from a hub that is this machine, and nothing fetches unasked."""

import json
import re
import shutil
from fractions import Fraction
from shutil import copytree

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch.testing import assert_close

import recast
from animatediff_folder import write_gen1_zero
from hub import COMMIT, recast_models, served
from modelscope_folder import write_modelscope
from pipelines import opened
from recast.cli.app import run
from recast.errors import WeightsError
from recast.model.folder import COMPONENTS, ModelFolder, quiet
from recast.model.pulled import folder_of
from recast.model.specs import SPECS
from recast.types import Clip
from wan_folder import SHAPE, write_wan

NAME = "gen1-zero"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder by hand, which the repositories are cut from."""
    return write_gen1_zero(tmp_path_factory.mktemp("made") / "model")


@pytest.fixture(scope="module")
def repositories(made, tmp_path_factory):
    """In the published layouts; the first id of Stable Diffusion 1.5 is gone."""
    root = tmp_path_factory.mktemp("repositories")
    image = root / "sd15"
    for part in ("unet", "vae", "text_encoder", "tokenizer"):
        copytree(made / part, image / part)
    copytree(made / "image_scheduler", image / "scheduler")
    (image / "tokenizer" / "special_tokens_map.json").write_text("{}")
    (image / "unet" / "diffusion_pytorch_model.safetensors").rename(
        image / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    )
    return {
        "sd-legacy/stable-diffusion-v1-5": image,
        "guoyww/animatediff-motion-adapter-v1-5-3": made / "motion_adapter",
        "lllyasviel/control_v11f1p_sd15_depth": made / "controlnet",
        "depth-anything/Depth-Anything-V2-Small-hf": made / "depth_estimator",
    }


@pytest.fixture(scope="module")
def pulled(repositories, tmp_path_factory):
    """The home that the model was pulled to, what the program said before it was told yes and after, and fetched."""
    home = tmp_path_factory.mktemp("home")
    with served(repositories) as (endpoint, fetched):
        asked = recast_models(home, "pull", NAME, endpoint=endpoint)
        before = list(fetched)
        done = recast_models(home, "pull", NAME, "--yes", endpoint=endpoint)
    return home, asked, before, done


def test_a_pull_shows_licence_and_size_and_fetches_nothing_unasked(pulled):
    _, asked, before, done = pulled
    assert (asked.returncode, before) == (2, [])
    assert "nothing was fetched; say --yes" in asked.stderr
    for licence in SPECS[NAME].licences:
        assert licence in asked.stdout
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in asked.stdout
    assert "sd-legacy/stable-diffusion-v1-5 01234567, SHA-256" in asked.stdout
    assert done.returncode == 0, done.stderr


def test_the_folder_is_the_one_made_by_hand(pulled, made, monkeypatch):
    monkeypatch.setenv("RECAST_HOME", str(pulled[0] / "recast"))
    ours, theirs = opened(folder_of(NAME)), opened(made)
    assert_close(dict(ours.unet.named_parameters()), dict(theirs.unet.named_parameters()), atol=0, rtol=0)
    assert torch.equal(ours.schedule.sigmas, theirs.schedule.sigmas)
    assert torch.equal(ours.image_schedule.sigmas, theirs.image_schedule.sigmas)
    held = json.loads((folder_of(NAME) / "pulled.json").read_text())
    assert {entry["revision"] for entry in held} == {COMMIT}


def test_it_edits_by_name(pulled, monkeypatch):
    monkeypatch.setenv("RECAST_HOME", str(pulled[0] / "recast"))
    frames = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    clip, editor = Clip(frames, Fraction(8)), recast.load(NAME)
    one, other = (editor(clip, prompt="snow", steps=2, temporal_guidance=w).frames for w in (1.0, 1.5))
    assert one.shape == frames.shape
    assert not torch.equal(one, other)
    assert len(editor.model.abilities) == 9


def test_offline_it_is_made_of_what_the_cache_holds(pulled, tmp_path):
    home = pulled[0]
    assert recast_models(home, "pull", NAME, "--yes", offline=True).returncode == 0
    refused = recast_models(tmp_path, "pull", NAME, "--yes", offline=True)
    assert refused.returncode == 3
    assert "HF_HUB_OFFLINE is set, and the cache has no unet/config.json" in refused.stderr


def test_weights_in_any_number_of_files_come_whole(tmp_path, monkeypatch):
    made, cache = write_wan(tmp_path / "made"), tmp_path / "hf" / "hub" / "models--Wan-AI--Wan2.1-T2V-1.3B-Diffusers"
    with quiet():
        network = WanTransformer3DModel(**SHAPE)
        for file in (made / "transformer").glob("*.safetensors"):
            file.unlink()
        network.save_pretrained(made / "transformer", max_shard_size="20KB")
    shutil.copytree(made, cache / "snapshots" / COMMIT)
    assert recast_models(tmp_path, "pull", "wan-1.3b", "--yes", offline=True).returncode == 0
    monkeypatch.setenv("RECAST_HOME", str(tmp_path / "recast"))
    held = sorted(path.name for path in (folder_of("wan-1.3b") / "transformer").iterdir())
    assert len(held) > 3
    ours = opened(folder_of("wan-1.3b")).network
    assert_close(dict(ours.named_parameters()), dict(network.named_parameters()), atol=0, rtol=0)


@pytest.mark.parametrize(("name", "made"), [("wan2.2-vace-14b", {"vace": True, "two": True}), ("bernini-1.3b", {})])
def test_what_the_files_do_not_say_of_a_network_comes_with_its_name(name, made, tmp_path, monkeypatch):
    """Where Wan 2.2's networks meet, that Bernini's network reads the clip, and by which levels it walks."""
    folder, hub = write_wan(tmp_path / "made", **made), tmp_path / "hf" / "hub"
    (folder / "model_index.json").unlink()
    if SPECS[name].written:
        shutil.rmtree(folder / "scheduler")
    for part in SPECS[name].parts:
        held = folder if any(file.into == "vae" for file in part.files) else folder / "depth_estimator"
        shutil.copytree(held, hub / f"models--{part.repos[0].replace('/', '--')}" / "snapshots" / COMMIT)
    pulled = recast_models(tmp_path, "pull", name, "--yes", offline=True)
    assert pulled.returncode == 0, pulled.stderr
    monkeypatch.setenv("RECAST_HOME", str(tmp_path / "recast"))
    backbone = opened(folder_of(name))
    assert backbone.boundary == (0.875 if "two" in made else 0.0)
    assert backbone.reads_clip is (name == "bernini-1.3b")


def test_what_has_changed_since_is_found_and_a_folder_is_removed(pulled, tmp_path, monkeypatch, capsys):
    home = copytree(pulled[0] / "recast", tmp_path / "recast", symlinks=True)
    monkeypatch.setenv("RECAST_HOME", str(home))
    assert run(["models", "verify", NAME]) == 0
    assert run(["models", "path", NAME]) == 0
    assert capsys.readouterr().out.strip() == str(folder_of(NAME))
    weights = folder_of(NAME) / "vae" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    weights.write_bytes(b"other")
    (folder_of(NAME) / "unet" / "config.json").unlink()
    (folder_of(NAME) / "unet" / "config.json").symlink_to(tmp_path / "swept")
    with pytest.raises(WeightsError, match=r"links to files that are gone from the cache, such as config\.json"):
        ModelFolder.found(NAME).component("unet")
    assert run(["models", "verify", NAME]) == 3
    printed = capsys.readouterr().err
    assert "vae/diffusion_pytorch_model.safetensors has changed" in printed
    assert "unet/config.json is gone" in printed
    assert run(["models", "rm", NAME]) == 0
    assert run(["models", "rm", NAME]) == 2
    assert run(["models", "verify", NAME]) == 3
    assert f"`recast models pull {NAME}` brings it" in capsys.readouterr().err
    with pytest.raises(WeightsError, match=r"`recast models pull gen1-zero` brings it, about 3\.8 GB"):
        ModelFolder.found(NAME)


def test_safetensors_of_a_pull_request_are_asked_for_there(tmp_path):
    folder = write_modelscope(tmp_path / "made")
    for name in ("merges.txt", "special_tokens_map.json"):
        (folder / "tokenizer" / name).touch()
    with served({"cerspense/zeroscope_v2_576w@refs/pr/46": folder}) as (endpoint, fetched):
        asked = recast_models(tmp_path, "pull", "zeroscope", endpoint=endpoint)
    assert (asked.returncode, fetched) == (2, [])
    assert "CC-BY-NC-4.0 (no commercial use)" in asked.stdout
    assert "unet/diffusion_pytorch_model.safetensors" in asked.stdout


def test_a_repository_that_is_gone_is_named(tmp_path, repositories):
    others = {repo: folder for repo, folder in repositories.items() if not repo.startswith("lllyasviel")}
    with served(others) as (endpoint, fetched):
        refused = recast_models(tmp_path, "pull", NAME, "--yes", endpoint=endpoint)
    assert (refused.returncode, fetched) == (3, [])
    assert "lllyasviel/control_v11f1p_sd15_depth is gone from the hub, or private" in refused.stderr


@pytest.mark.parametrize("command", ["pull", "verify", "rm"])
def test_what_comes_with_the_package_is_neither_pulled_nor_removed(command, capsys):
    assert run(["models", command, "pocket"]) == 2
    assert "pocket comes with recast, so it is neither pulled" in capsys.readouterr().err


@pytest.mark.parametrize("name", SPECS)
def test_every_model_of_the_table_is_whole(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECAST_HOME", str(tmp_path))
    spec = SPECS[name]
    held = {file.into for part in spec.parts for file in part.files} | {path.partition("/")[0] for path in spec.written}
    assert {re.sub(r"_\d+$", "", each) if "controlnet" in each else each for each in held} <= COMPONENTS.keys()
    assert spec.edits is not bool(held & {"pose_estimator", "segmenter", "tiny_vae"})
    if held != {"tiny_vae"} and "pose_estimator" not in held:
        reads = {"text_encoder", "tokenizer"} if "tokenizer" in held else {"image_encoder", "feature_extractor"}
        assert held >= ({"tokenizer"} if "segmenter" in held else {"vae", "scheduler"} | reads)
        assert {"unet", "transformer", "segmenter"} & held
    assert run(["models", "info", name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["here"] == f"no; recast models pull {name}"
    assert all(repo in str(facts["from"]) for part in spec.parts for repo in part.repos)
